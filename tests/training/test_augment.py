"""Augmentations: what a crop and a flip do to pixels, that random numbers are the generator's, torchvision or an error."""

import sys
import types

import numpy as np
import pytest
import torch

from nbkit.errors import NbkitError
from nbkit.training.augment import auto_augment, crop, flip


@pytest.fixture
def images():
    return torch.arange(1.0, 40 * 3 * 5 * 4 + 1).view(40, 3, 5, 4)


def test_every_crop_is_the_image_moved_by_at_most_the_padding_background_around(images):
    generator = np.random.default_rng(0)
    found, seen = crop(images, generator, padding=2), set()
    for image, cut in zip(images.numpy(), found.numpy(), strict=True):
        moved = {
            (down, right): np.pad(image, ((0, 0), (2, 2), (2, 2)))[:, down : down + 5, right : right + 4]
            for down in range(5)
            for right in range(5)
        }
        [place] = [place for place, wanted in moved.items() if np.array_equal(cut, wanted)]
        seen.add(place)
    assert len(seen) > 15


def test_a_crop_without_padding_is_the_image(images):
    assert torch.equal(crop(images, np.random.default_rng(0), padding=0), images)


def test_a_flip_mirrors_about_its_share_of_the_images_and_leaves_the_others(images):
    found = flip(images, np.random.default_rng(0))
    is_turned = [torch.equal(each, image.flip(-1)) for each, image in zip(found, images, strict=True)]
    is_same = [torch.equal(each, image) for each, image in zip(found, images, strict=True)]
    assert all(turned != same for turned, same in zip(is_turned, is_same, strict=True))
    assert 10 < sum(is_turned) < 30


@pytest.mark.parametrize("share, wanted", [(0, False), (1, True)])
def test_a_flip_of_all_or_none(images, share, wanted):
    turned = flip(images, np.random.default_rng(0), share=share)
    assert torch.equal(turned, images.flip(-1) if wanted else images)


@pytest.mark.parametrize("change", [crop, flip])
def test_flattened_squares_are_changed_as_pictures_of_one_channel(change):
    pictures = torch.rand(20, 1, 6, 6)
    found = change(pictures.flatten(1), np.random.default_rng(3))
    assert found.shape == (20, 36)
    assert torch.equal(found.view(20, 1, 6, 6), change(pictures, np.random.default_rng(3)))


@pytest.mark.parametrize("change", [crop, flip])
def test_the_given_images_stay(images, change):
    before = images.clone()
    change(images, np.random.default_rng(0))
    assert torch.equal(images, before)


class Fake:
    """As torchvision's: takes uint8 (c, h, w) and draws from torch."""

    def __init__(self, policy):
        self.policy = policy

    def __call__(self, picture):
        assert picture.dtype == torch.uint8 and picture.shape[0] in (1, 3) and self.policy == ("policy", "svhn")
        return (255 - picture) if torch.rand(()) < 0.5 else picture


@pytest.fixture
def torchvision(monkeypatch):
    transforms = types.ModuleType("torchvision.transforms")
    transforms.AutoAugment, transforms.AutoAugmentPolicy = Fake, lambda name: ("policy", name)
    package = types.ModuleType("torchvision")
    package.transforms = transforms
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.transforms", transforms)


def test_auto_augment_hands_bytes_to_torchvision_and_gives_images_back(torchvision):
    images = torch.arange(256.0).view(4, 64).repeat(10, 1) / 255
    before = torch.get_rng_state()
    found, again = (auto_augment(images, np.random.default_rng(0), policy="svhn") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(found, again)
    kinds = {(torch.allclose(x, y), torch.allclose(x, 1 - y)) for x, y in zip(found, images, strict=True)}
    assert kinds == {(True, False), (False, True)}


def test_without_torchvision_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.transforms", None)
    with pytest.raises(NbkitError, match="auto_augment: the package torchvision must be installed.*pip install torchv"):
        auto_augment(torch.rand(2, 9), np.random.default_rng(0))


@pytest.mark.parametrize("change", [crop, flip, auto_augment])
@pytest.mark.parametrize(
    "given", [torch.zeros(2, 8), torch.zeros(9), torch.zeros(0, 9), torch.zeros(2, 3, 3), "images"]
)
def test_other_shapes_are_refused(change, given):
    with pytest.raises(NbkitError, match=f"{change.__name__}: images must be flattened squares"):
        change(given, np.random.default_rng(0))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, g: crop(x, g, padding=-1), "crop: padding must be an integer of at least 0"),
        (lambda x, g: flip(x, g, share=1.5), "flip: share"),
        (lambda x, g: flip(x, g, share=-0.5), "flip: share must be at least 0"),
        (lambda x, g: auto_augment(x, g, policy="mnist"), "auto_augment: policy must be one of"),
        (lambda x, g: auto_augment(2 * x, g), r"auto_augment: images must have .* values in \[0, 1\], got .* to 2"),
        (lambda x, g: auto_augment(x.view(1, 9, 1, 1), g), "auto_augment: images must have 1 or 3 channels"),
    ],
)
def test_amounts_outside_their_ranges_are_refused(change, message):
    with pytest.raises(NbkitError, match=message):
        change(torch.ones(1, 9), np.random.default_rng(0))
