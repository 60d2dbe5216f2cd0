"""A text as a file of about as many bits as the model needs for it, which decodes on any machine."""
