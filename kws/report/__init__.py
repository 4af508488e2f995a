"""The page about a run, reports/index.html: numbers, charts, and sounds to judge them by."""
