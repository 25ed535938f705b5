"""Prompts for a tiny model, and how one is loaded."""

import base64
import io

from langchain_core.messages import (
    HumanMessage,
    SystemMessage,
)
from PIL import Image

from agentclust.config import ModelConfig
from agentclust.models import load_model

SYSTEM = "You sort pictures by their mood. Answer with one word, and write nothing else, please."
USERS = [
    "A red car stands in the rain.",
    "The blue bird sits on a branch; below it the river runs to the sea.",
    "Why?",
]
OPTIONS = ["red car", "red bird", "red", "blue bird", "blue bicycle"]


def load(folder, seed=0, **settings):
    return load_model(ModelConfig(model=f"transformers:{folder}", **settings), seed)


def ask(user, system=SYSTEM):
    return [SystemMessage(system), HumanMessage(user)]


def show(colour, user, size=(60, 40)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    image = {"type": "image_url", "image_url": {"url": url}}
    return [SystemMessage(SYSTEM), HumanMessage([image, {"type": "text", "text": user}])]


def texts(answers):
    return [answer.text for answer in answers]
