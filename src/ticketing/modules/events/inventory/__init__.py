"""What an event has for sale: its seats, its general admission, and who holds or owns them."""
