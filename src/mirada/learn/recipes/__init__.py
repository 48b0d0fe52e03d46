"""How a network is trained from scratch: recipes as files that can be read, and changed.

| recipe | what it is |
|---|---|
| modern | AdamW, a rate that rises and falls along a cosine, small shifts: the default |
| lenet5 | LeNet-5 as it is built today, for digits: the most accurate |
| lenet5-1998 | LeNet-5 of 1998: tanh, average pooling, squared loss, plain gradient descent in falling steps |
| alexnet | AlexNet exactly as it was published in 2012 |
| vgg | VGG's of 2014: AlexNet's with larger batches and another beginning |
"""

from mirada.learn.recipes.recipe import RECIPES, Recipe, find_recipe, plain_values, read_recipe

__all__ = ["RECIPES", "Recipe", "find_recipe", "plain_values", "read_recipe"]
