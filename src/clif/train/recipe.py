"""Recipes: YAML files with a configuration, the results of the paper for it, and its cost."""

from pathlib import Path
from typing import Any

from clif import plain_files
from clif.errors import InputError, unknown_name
from clif.paths import expand_home

RECIPES = Path(__file__).parent / "recipes"


def list_recipes() -> list[str]:
    """The names of the package's recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(recipe: str) -> dict[str, Any]:
    """A recipe by name or YAML file, with at least {"config": {key: value}}.

    A file may also be a configuration alone with its "dataset", as `clif train --print-config` prints it and a run's
    folder holds it.
    Those of the package have a "description", "published", the paper's accuracy in % by neuron, and "cost", the
    floating-point operations of the whole training in EFLOP. Raises `InputError` for a file that cannot be read.
    """
    is_file = recipe.endswith((".yaml", ".yml"))
    if not is_file and recipe not in list_recipes():
        if Path(expand_home(recipe)).exists():
            raise InputError(
                f"{recipe}: a recipe is a name (see: clif recipes) or a YAML file, such as RUN/config.yaml"
            )
        raise unknown_name("recipe", recipe, list_recipes())
    path = Path(expand_home(recipe)) if is_file else RECIPES / f"{recipe}.yaml"
    content = read_yaml(path)
    for values in (content, content.get("config")):
        if isinstance(values, dict) and (key := next((key for key in ("import", "imports") if key in values), "")):
            raise InputError(f"{path}: a recipe cannot import code ({key}); give --import on the command line")
    if "dataset" in content and "config" not in content:
        return {"config": content}
    if not isinstance(content.get("config"), dict):
        raise InputError(
            f'{path}: a recipe needs "description" and a mapping "config", or is a configuration with "dataset"'
        )
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds. Raises `InputError` for a file that is missing, unreadable or no mapping."""
    content = plain_files.read_yaml(path, "recipe")
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a configuration: a mapping of options is expected")
    return content
