"""The tests; charrnn comes before torch, so that its threads wait with moderation here too."""

import charrnn as charrnn
