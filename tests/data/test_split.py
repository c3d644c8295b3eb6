"""The split is fixed, lines join the digits they name, distortions move images as they say."""

import hashlib

import numpy as np
import pytest
import torch

from nbkit.data import Split, digit_line, distort, mnist_digits, mnist_split
from nbkit.data.split import as_split
from nbkit.errors import NbkitError


def test_the_split_has_every_digit_once():
    split = mnist_split()
    assert split.train_images.shape == (8_000, 784) and split.test_images.shape == (2_000, 784)
    assert split.train_images.dtype == torch.float32 and split.train_labels.dtype == torch.int64
    images, labels = mnist_digits()
    ours = torch.cat([split.train_images, split.test_images]).mul(255).round().byte().numpy()
    both = torch.cat([split.train_labels, split.test_labels]).numpy()
    found = sorted((row.tobytes(), label) for row, label in zip(ours, both, strict=True))
    assert found == sorted((image.tobytes(), label) for image, label in zip(images, labels, strict=True))


def test_the_split_never_changes():
    split = mnist_split()
    content = b"".join(
        part.mul(255).round().byte().numpy().tobytes() for part in (split.train_images, split.test_images)
    )
    assert hashlib.sha256(content).hexdigest().startswith("29607b4b3b8f407a")


def test_every_class_is_in_the_test_set_as_documented():
    counts = torch.bincount(mnist_split().test_labels).tolist()
    assert len(counts) == 10 and (min(counts), max(counts)) == (174, 221)


def test_unit_images_have_norm_1_and_their_directions():
    split, unit = mnist_split(), mnist_split().unit()
    assert torch.allclose(unit.test_images.norm(dim=1), torch.ones(2_000))
    assert torch.allclose(torch.cosine_similarity(split.test_images, unit.test_images), torch.ones(2_000))
    assert torch.equal(unit.test_labels, split.test_labels)


def test_an_empty_image_stays_empty_at_unit_norm():
    labels = torch.tensor([0])
    assert not Split(torch.zeros(1, 4), labels, torch.zeros(1, 4), labels).unit().train_images.any()


def test_a_line_joins_the_two_digits_it_names():
    first, second = mnist_split().test_images[[7, 42]].double().numpy()
    ends = first / np.linalg.norm(first), second / np.linalg.norm(second)
    curve = digit_line(7, 42)
    assert np.allclose(curve(torch.tensor([0.0, 1.0])), ends)
    assert curve.length == pytest.approx(np.linalg.norm(ends[0] - ends[1]))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ((3, 3), "first and second must differ, got 3 twice"),
        ((-1, 3), "first must be an integer between 0 and 1999, got -1"),
        ((0, 2_000), "second must be an integer between 0 and 1999, got 2000"),
        ((0.5, 1), "first must be an integer"),
    ],
)
def test_digits_that_are_not_there_are_refused(places, message):
    with pytest.raises(NbkitError, match=f"digit_line: {message}"):
        digit_line(*places)


def test_a_line_of_no_length_is_refused():
    labels = torch.tensor([0, 0])
    with pytest.raises(NbkitError, match="different and not empty"):
        digit_line(0, 1, split=Split(torch.ones(2, 4), labels, torch.ones(2, 4), labels))


def dot(row, column, side=28):
    image = torch.zeros(1, side, side)
    image[0, row, column] = 1.0
    return image.flatten(1)


def test_no_distortion_changes_nothing():
    images = mnist_split().test_images[:20]
    torch.testing.assert_close(distort(images, shift=0, degrees=0, scale=0), images, rtol=0, atol=1e-5)


def centre(images):
    """Rows and columns of the centres of mass, (n, 2)."""
    pixels = images.view(-1, 28, 28)
    axis = torch.arange(28.0)
    mass = pixels.sum(dim=(1, 2))
    return (
        torch.stack([(pixels.sum(dim=2) * axis).sum(dim=1), (pixels.sum(dim=1) * axis).sum(dim=1)], dim=1)
        / mass[:, None]
    )


def test_shifts_stay_within_their_limit_and_use_it():
    moved = centre(distort(dot(14, 10).expand(500, -1), shift=2, degrees=0, scale=0)) - torch.tensor([14.0, 10.0])
    assert moved.abs().max() <= 2 + 1e-4
    assert (moved.amax(dim=0) > 1.9).all() and (moved.amin(dim=0) < -1.9).all()


def test_turns_stay_within_their_limit_and_keep_distances_from_the_middle():
    found = centre(distort(dot(3, 14).expand(500, -1), shift=0, degrees=12, scale=0)) - 13.5
    radius, angle = found.norm(dim=1), torch.atan2(found[:, 1], -found[:, 0]).rad2deg()
    at_rest = np.degrees(np.arctan2(0.5, 10.5))
    assert torch.allclose(radius, torch.full((500,), 10.512), atol=0.12)
    assert 11 < (angle - at_rest).abs().max() < 12.7


def test_scales_stay_within_their_limit():
    found = (centre(distort(dot(3, 14).expand(500, -1), shift=0, degrees=0, scale=0.1)) - 13.5).norm(dim=1) / 10.512
    assert 1 / 1.12 < found.min() < 0.93 and 1.09 < found.max() < 1 / 0.89


def test_distortions_repeat_with_their_seed_and_differ_between_images():
    images = dot(14, 10).expand(2, -1)
    assert torch.equal(distort(images, seed=3), distort(images, seed=3))
    assert not torch.equal(*distort(images, seed=3))
    assert not torch.equal(distort(images, seed=3), distort(images, seed=4))


def test_distorting_what_is_not_square_is_refused():
    with pytest.raises(NbkitError, match=r"distort: images must be square .* got the shape \(2, 12\)"):
        distort(torch.zeros(2, 12))


@pytest.mark.parametrize("amount", [{"shift": -1}, {"degrees": -1}, {"scale": -0.1}])
def test_negative_amounts_are_refused(amount):
    with pytest.raises(NbkitError, match="distort: shift, degrees and scale must not be negative"):
        distort(torch.zeros(2, 9), **amount)


def test_a_scale_that_turns_images_inside_out_is_refused():
    with pytest.raises(NbkitError, match="distort: scale"):
        distort(torch.zeros(2, 9), scale=1.0)


IMAGES, LABELS = np.zeros((3, 4)), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((IMAGES, LABELS), "data must be a Split or"),
        (IMAGES, "data must be a Split or"),
        ((IMAGES, LABELS[:2], IMAGES, LABELS), r"train images \(n, ...\) and labels \(n,\) must have one n"),
        ((IMAGES[:0], LABELS[:0], IMAGES, LABELS), "train images .* of at least 1"),
        ((IMAGES, LABELS, IMAGES[:, :3], LABELS), "train and test images must have one shape"),
        ((IMAGES, LABELS, IMAGES * np.nan, LABELS), "test images must be finite, got NaN"),
        ((IMAGES, LABELS - 1, IMAGES, LABELS), "train labels must be whole numbers from 0 on"),
        ((IMAGES, LABELS / 2, IMAGES, LABELS), "train labels must be whole numbers from 0 on"),
        ((IMAGES, LABELS, "digits", LABELS), "test images must be an array of numbers"),
    ],
)
def test_data_that_does_not_fit_is_refused(data, message):
    with pytest.raises(NbkitError, match=f"who: {message}"):
        as_split("who", data)


def test_arrays_become_a_split():
    split = as_split("who", (IMAGES, LABELS, IMAGES[:2], LABELS[:2]))
    assert split.train_images.dtype == torch.float32 and split.n_classes == 3


@pytest.mark.parametrize("split", ["mnist", 1, []])
def test_a_split_is_a_split(split):
    with pytest.raises(NbkitError, match="digit_line: split must be a Split"):
        digit_line(0, 1, split=split)


@pytest.mark.parametrize("images", [None, "a", np.zeros((2, 9)), torch.zeros(0, 9)])
def test_distorting_what_is_no_tensor_of_images_is_refused(images):
    with pytest.raises(NbkitError, match="distort: images must be square and flattened"):
        distort(images)
