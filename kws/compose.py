"""From conf/ to params.yaml, by DVC's own composer: the same bytes as `dvc exp run` writes."""

from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.utils.hydra import compose_and_dump
from hydra.errors import HydraException

from kws.errors import UserError
from kws.files import replacing
from kws.params import load_params


def compose(conf: Path, output: Path, overrides: list[str]) -> None:
    """Compose `conf/config.yaml` with Hydra overrides and write it once it is valid.

    Raises UserError, and leaves `output` as it was, where an override or a value is wrong.
    """
    if not (conf / "config.yaml").is_file():
        raise UserError(f"{conf}/config.yaml: missing; run this in the project's folder")
    with TemporaryDirectory() as folder:
        composed = Path(folder) / "params.yaml"
        try:
            compose_and_dump(composed, str(conf.absolute()), None, "config", "", overrides)
        except (HydraException, ValueError) as error:  # ValueError for `model=null`
            raise UserError(" ".join(str(error).split())) from error
        load_params(composed, "conf/")
        with replacing(output) as partial:
            partial.write_bytes(composed.read_bytes())
