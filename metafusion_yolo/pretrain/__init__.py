"""Where the trained start of the front-end comes from: made and free pictures, and how it is trained on them."""
