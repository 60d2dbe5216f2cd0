"""Completions over HTTP, an extra: `pip install 'charrnn[serve]'`.

A request becomes tasks (request.py), whose prompts are read (prompts.py) and whose texts are written by one thread of
each model (desk.py); what comes of them goes out whole or as it comes (answer.py), told by the network in 32 bits where
log-probabilities are asked for (logprobs.py). A browser is shown the model itself (pages.py). site.py and app.py alone
know HTTP, and running.py the process.
"""
