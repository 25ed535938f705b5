"""Files: rows that survive a kill, arrays block by block, images, and bytes on their way."""
