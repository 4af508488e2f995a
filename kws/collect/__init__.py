"""Commands that gather recordings: checked, recorded, made into an experiment."""
