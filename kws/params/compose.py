"""From conf/ to params.yaml, by DVC's own composer: the same bytes as `dvc exp run` writes."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kws.common.errors import UserError
from kws.common.files import replacing
from kws.params.whole import Params, load_params, unknown_key


def compose(conf: Path, output: Path, overrides: list[str]) -> Params:
    """Compose `conf/config.yaml` with Hydra overrides, write it once it is valid, and return what it says.

    Raises UserError, and leaves `output` as it was, where an override, a value or a file of `conf` is wrong.
    """
    if not (conf / "config.yaml").is_file():
        raise UserError(f"{conf}/config.yaml: missing; run this in the project's folder")
    with TemporaryDirectory() as folder:
        composed = Path(folder) / "params.yaml"
        try:
            compose_and_dump(composed, str(conf.absolute()), None, "config", "", overrides)
        except UnicodeDecodeError as error:
            raise UserError(f"{_undecodable(conf)}: not UTF-8 ({error}); save it as such") from error
        except YAMLError as error:
            raise UserError(
                f"{conf}/: not YAML ({' '.join(str(error).split())}); correct it there"
            ) from error
        except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError for `model=null`
            raise UserError(_explain(error)) from error
        params = load_params(composed, "conf/")
        with replacing(output) as partial:
            partial.write_bytes(composed.read_bytes())
    return params


def _undecodable(conf: Path) -> Path:
    """Return the first file of `conf` that is not UTF-8: who tries to read it does not say which."""
    return next(
        path for path in sorted(conf.rglob("*.yaml")) if "\ufffd" in path.read_text("utf-8", "replace")
    )


def _explain(error: Exception) -> str:
    """Return Hydra's message in one line, or better words where they are known."""
    said = " ".join(str(error).split())
    if missing := re.match(r"Could not override '([^']+)'", said):
        return f"{missing[1]}: {unknown_key(missing[1])}"
    if isinstance(error, OverrideParseException) and not error.override.isascii():
        quoted = re.sub(r"""[^\[\],=\s"']*[^\x00-\x7f][^\[\],=\s"']*""", r'"\g<0>"', error.override)
        return f"{error.override}: accents need double quotes inside of single ones: '{quoted}'"
    return said.split(" Config search path:")[0]
