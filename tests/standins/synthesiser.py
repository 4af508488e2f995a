"""`kokoro` or `piper`, whichever the first argument names: a tone for each letter of the text.

The options are those of kokoro 0.9.4 and piper-tts 1.8.0.
"""

import argparse
import sys
import wave
from pathlib import Path

import numpy as np
from state import mode, note

RATES = {"kokoro": 24000, "piper": 22050}


def main(program: str, arguments: list[str]) -> None:
    note(**{program: arguments})
    parser = argparse.ArgumentParser(program)
    parser.add_argument("-i", "--input-file", type=Path, required=True)
    if program == "kokoro":
        parser.add_argument("-m", "--voice", required=True)
        parser.add_argument("-l", "--language", choices="abhefipjz")
        parser.add_argument("-o", "--output-file", type=Path, required=True)
    else:
        parser.add_argument("-m", "--model", required=True)
        parser.add_argument("-s", "--speaker", type=int)
        parser.add_argument("-f", "--output-file", type=Path, required=True)
    options = parser.parse_args(arguments)
    if mode() == "no voice":
        raise ValueError("Unable to find voice: nobody.onnx (use piper.download_voices)")
    if mode() == "no file":
        return
    if mode() == "no wav":
        options.output_file.write_bytes(b"RIFF")
        return
    text, rate = options.input_file.read_text(encoding="utf-8").strip(), RATES[program]
    time = np.arange(rate // 10) / rate
    letters = [np.sin(2 * np.pi * (200 + ord(letter)) * time) for letter in text]
    samples = np.concatenate(letters) * (0 if mode() == "silence" else 8000)
    with wave.open(str(options.output_file), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
