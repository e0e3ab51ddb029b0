"""The command line: parse flags, call one operation, render. The only room that prints."""
