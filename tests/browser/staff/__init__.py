"""The pages of staff: the console and the door."""
