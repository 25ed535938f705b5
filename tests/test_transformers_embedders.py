import shutil

import numpy as np
import pytest
import torch
import transformers as hf
from transformers import BertConfig, BertModel, BertTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from agentclust.embedders import load_embedder
from agentclust.errors import ImageProblem, ModelError
from agentclust.files.images import read_image
from tests.complaints import complains
from tests.pictures import draw

VIT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 50,
    "max_position_embeddings": 8,
}
SQUARE = {"height": 28, "width": 28}
SHORTEST = {"size": {"shortest_edge": 28}, "crop_size": SQUARE}


def clip():
    vision = VIT | {"projection_dim": 16}
    config = hf.CLIPConfig(text_config=TEXT, vision_config=vision, projection_dim=16)
    return hf.CLIPModel(config), CLIPImageProcessorPil(**SHORTEST)


def siglip():
    config = hf.SiglipConfig(text_config=TEXT | {"projection_size": 32}, vision_config=VIT)
    return hf.SiglipModel(config), hf.SiglipImageProcessorPil(size=SQUARE)


def dinov2():
    known = {name: value for name, value in VIT.items() if name != "intermediate_size"}
    return hf.Dinov2Model(hf.Dinov2Config(**known, mlp_ratio=2)), hf.BitImageProcessorPil(
        **SHORTEST
    )


def dinov3():
    model = hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**VIT, num_register_tokens=2))
    return model, hf.ViTImageProcessorPil(size=SQUARE)


def convnext():
    config = hf.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    return hf.ConvNextModel(config), hf.ViTImageProcessorPil(size={"height": 64, "width": 64})


def mae():
    return hf.ViTMAEModel(hf.ViTMAEConfig(**VIT)), hf.ViTImageProcessorPil(size=SQUARE)


def msn():
    return hf.ViTMSNModel(hf.ViTMSNConfig(**VIT)), hf.ViTImageProcessorPil(size=SQUARE)


def vit():
    model = hf.ViTModel(hf.ViTConfig(**VIT), add_pooling_layer=False)
    return model, hf.ViTImageProcessorPil(size=SQUARE)


KINDS = (clip, siglip, dinov2, dinov3, convnext, mae, msn, vit)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A folder of tiny checkpoints with random weights, one an architecture."""
    root = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    for kind in KINDS:
        for part in kind():
            part.save_pretrained(root / kind.__name__)
    about = root / "dinov3" / "preprocessor_config.json"  # as its published checkpoints name it
    text = about.read_text().replace("ViTImageProcessorPil", "DINOv3ViTImageProcessorFast")
    about.write_text(text.replace('"ViTImageProcessor"', '"DINOv3ViTImageProcessorFast"'))
    assert "DINOv3" in about.read_text()
    return root


@pytest.mark.parametrize("kind", [kind.__name__ for kind in KINDS])
def test_each_architecture_embeds_images(checkpoints, photos, kind, capfd):
    embedder = load_embedder(f"transformers:{checkpoints / kind}")
    assert (embedder.of, embedder.fitted) == ("image", False)
    files = sorted(photos.iterdir())
    vectors = embedder.embed(files)
    assert vectors.shape == (6, 16 if kind == "clip" else 32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(embedder.embed(files[2:4]), vectors[2:4], atol=1e-5)
    assert np.allclose(vectors[0], vectors[1], atol=1e-5)  # two of a colour
    assert np.abs(vectors[0] - vectors[2]).max() > 1e-3
    assert embedder.embed([]).shape[0] == 0
    assert capfd.readouterr() == ("", "")


def test_the_vector_is_what_the_paper_of_each_compares(checkpoints, photos):
    """The projected one of CLIP; the class token, after the last norm, of DINOv2 and MSN."""
    file = sorted(photos.iterdir())[0]
    for kind in ("clip", "dinov2", "msn"):
        where = checkpoints / kind
        processor = hf.AutoImageProcessor.from_pretrained(where, backend="pil")
        pixels = processor(images=read_image(file), return_tensors="pt")
        model = hf.AutoModel.from_pretrained(where).eval()
        with torch.inference_mode():
            if kind == "clip":
                expected = model.visual_projection(model.vision_model(**pixels).pooler_output)
            else:
                expected = model(**pixels).last_hidden_state[:, 0]
        found = load_embedder(f"transformers:{where}").embed([file])
        assert np.allclose(found, torch.nn.functional.normalize(expected).numpy(), atol=1e-5)


def test_the_identity_tells_weights_apart(checkpoints, tmp_path):
    one = load_embedder(f"transformers:{checkpoints / 'vit'}").identity
    copy = shutil.copytree(checkpoints / "vit", tmp_path / "copy")
    assert load_embedder(f"transformers:{copy}").identity == one
    torch.manual_seed(1)
    vit()[0].save_pretrained(tmp_path / "other")
    shutil.copy(copy / "preprocessor_config.json", tmp_path / "other")
    assert load_embedder(f"transformers:{tmp_path / 'other'}").identity != one


def test_a_text_encoder_by_the_same_door(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "car", "blue", "bird"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    BertModel(BertConfig(**TEXT | {"max_position_embeddings": 32})).save_pretrained(tmp_path)
    BertTokenizerFast(vocab=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    embedder = load_embedder(f"transformers:{tmp_path}", "text")
    vectors = embedder.embed(["a red car", "a blue bird", "a red car"])
    assert vectors.shape == (3, 32)
    assert np.allclose(vectors[0], vectors[2], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-4)


def test_what_is_no_encoder(checkpoints, tmp_path, photos):
    with complains("transformers:: names no model"):
        load_embedder("transformers:")
    (tmp_path / "empty").mkdir()
    with complains("has no config.json"):
        load_embedder(f"transformers:{tmp_path / 'empty'}")
    torn = shutil.copytree(checkpoints / "msn", tmp_path / "torn")
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with complains("cannot be loaded", kind=ModelError):
        load_embedder(f"transformers:{torn}")
    embedder = load_embedder(f"transformers:{checkpoints / 'msn'}")
    draw(photos / "x.png").write_text("no image")
    with complains("x.png", kind=ImageProblem):
        embedder.embed([photos / "x.png"])
