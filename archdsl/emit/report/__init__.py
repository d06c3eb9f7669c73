"""Checked graph to report: the data in `model`, plain formats in `text` and `page`, the terminal's table in `table`."""
