"""What any file needs: written whole or not at all, read within limits."""
