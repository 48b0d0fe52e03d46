"""The index of a collection, and what is found in it."""

from mirada.search.build import Changes, forget
from mirada.search.embedding import Embedding, Maker
from mirada.search.gallery import gallery, groups_page
from mirada.search.hits import Hit
from mirada.search.index import Index, index, open_index
from mirada.search.neighbours import training_images
from mirada.search.similar import Group

__all__ = [
    "Changes",
    "Embedding",
    "Group",
    "Hit",
    "Index",
    "Maker",
    "forget",
    "gallery",
    "groups_page",
    "index",
    "open_index",
    "training_images",
]
