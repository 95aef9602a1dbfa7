"""The queue of reviews: what is open, who works on it, and what a decision must say."""
