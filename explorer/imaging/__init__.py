"""The only place where photos are opened, resized, normalised and matched with the coarse grid."""

from explorer.imaging.coordinates import cell_of_pixel, cell_to_box, pixel_to_cell, rescale_point
from explorer.imaging.decode import MAX_PIXELS, MAX_SIDE
from explorer.imaging.photo import Photo, center_crop_square, open_photo, photo_size
from explorer.imaging.resize import IMAGENET_MEAN, IMAGENET_STD, fit_size, normalise, resize

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_PIXELS",
    "MAX_SIDE",
    "Photo",
    "cell_of_pixel",
    "cell_to_box",
    "center_crop_square",
    "fit_size",
    "normalise",
    "open_photo",
    "photo_size",
    "pixel_to_cell",
    "rescale_point",
    "resize",
]
