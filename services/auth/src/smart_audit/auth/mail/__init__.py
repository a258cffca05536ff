"""Mail: letters, how they look, and the ways on which they leave."""
