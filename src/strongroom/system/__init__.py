"""What strongroom asks of Python and of the operating system: files, frames, threads, time."""
