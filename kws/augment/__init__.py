"""One voice becomes many: what happens to a recording on its way to a clip, one transform a module."""
