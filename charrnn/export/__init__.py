"""Models in other forms than a checkpoint, for those who have no charrnn: a page that writes."""
