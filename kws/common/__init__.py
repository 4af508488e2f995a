"""What every other room may use: files, programs, processes, seeds, names, and errors."""
