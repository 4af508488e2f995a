"""What draws the charts, as one script: takes seconds to make, and is the same until a library changes."""

from functools import cache

import altair
import vl_convert


@cache
def vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, in the version that Altair writes for."""
    version = ".".join(altair.VEGALITE_VERSION.split(".")[:2])
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)
    return script
