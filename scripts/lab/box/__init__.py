"""The parts of the middlebox: see box.py beside this folder."""
