"""Recipes: YAML files with a configuration, what the paper reports for it, and what it costs."""

from pathlib import Path
from typing import Any

import yaml

from clif.errors import InputError, MissingFileError, unknown_name

RECIPES = Path(__file__).parent / "recipes"


def list_recipes() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(recipe: str) -> dict[str, Any]:
    """A recipe by name or YAML file, with at least {"description": str, "config": {key: value}}.

    Those of the package also have "published", the paper's accuracy in % by neuron, and "cost", the floating-point
    operations of the whole training in EFLOP.
    """
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    if not path.is_file():
        if path.parent == RECIPES:
            raise unknown_name("recipe", recipe, list_recipes())
        raise MissingFileError(f"no recipe at {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise InputError(f'{path}: a recipe is a mapping with "description" and a mapping "config"')
    return content
