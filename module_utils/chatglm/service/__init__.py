"""The chat in the background, and the command chatglm."""
