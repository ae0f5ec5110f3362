"""What speed.py measures: `table` declares it, the other modules do it, each in a fresh process."""
