"""`mirada train`: from a data set to a saved, evaluated model."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mirada.backbone import Backbone
from mirada.backbone.body import Body
from mirada.data import Part, Sample, read, split
from mirada.data.views import policy_for
from mirada.data.walk import lies_in
from mirada.engine.process import import_ahead
from mirada.errors import DataError, ImageError, UsageError
from mirada.image.policy import POLICIES, Policy
from mirada.learn.depths import Options, Retrain
from mirada.learn.evaluation import Evaluation, evaluation_of
from mirada.learn.job import Answers, Job, failures_json
from mirada.learn.key import check_same, key_of
from mirada.learn.ladder import climb
from mirada.learn.place import Place
from mirada.learn.recipes import Recipe
from mirada.learn.request import request_of
from mirada.learn.scores import fit_temperature, sure_threshold
from mirada.machine.ranks import is_first_rank
from mirada.model import Model, load
from mirada.model.store import check_new, free_place, is_unfinished, save, sha256
from mirada.progress import Progress, silent
from mirada.words import duration

__all__ = ["check_place", "train"]

PRECISION = 0.95
"""The share of right answers that is promised of those that count as sure."""


def train(
    data: str | os.PathLike[str],
    network: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    retrain: Retrain = "auto",
    minutes: float | None = None,
    until: float | None = None,
    seed: int = 0,
    group: str | None = None,
    recipe: str | Recipe | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | Literal["find"] | None = None,
    settings: Mapping[str, Any] | None = None,
    weights: str | os.PathLike[str] | None = None,
    augment: str | Policy | None = None,
    mirror: bool | None = None,
    journal: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> Model:
    """Train a classifier and evaluate it, once, on images it has never seen.

    A pretrained backbone climbs a ladder (transfer learning): a new last layer is solved for, then the last stage of
    the network is tried, then one stage more, as long as the loss on the validation images falls by enough, and the
    best of these is trained in full. The best model so far is saved whole after each rung. A listing is trained from
    scratch.

    Args:
        data: class folders, train/val/test folders, a CSV file, a folder of MNIST's IDX files, or "digits".
        network: "efficientnet-lite0" (pretrained, built in), a network of the zoo or a listing FILE.net (from scratch),
            or "timm:NAME" (pretrained, downloaded); None for that of the recipe, without a recipe the first.
        out: where to save the model, a new directory; None does not save it. What an interrupted run of the same call
            left is taken up from there.
        retrain: "auto" finds what pays, "head" stays at the last layer, a number trains that many of the last
            stages at once, "all" the whole network. Pretrained networks only.
        minutes: the most that everything may take; what is reached then depends on the machine. Time that is left goes
            into further runs of the last rung, whose weights are averaged. Pretrained networks
            only.
        until: the validation accuracy, 0 to 1, that is enough; pretrained networks only.
        seed: decides the split, the initial weights, and the order of the images.
        group: what tells the images that stay in one part together: a column of the table, or a regular expression that
            is looked for in their names.
        recipe: how a listing is trained: the name of a recipe, a YAML file, or a recipe; None for "modern".
        epochs, batch_size, learning_rate: take the place of the recipe's; from scratch only. The rate "find" is tried
            out first, see `mirada.learn.find_rate`.
        settings: other values of the recipe, by their names, see `mirada.learn.recipes.Recipe`.
        weights: a safetensors file of pretrained weights for "timm:NAME".
        augment: what random views of the training images change: the name of a policy, a JSON file or a policy; None
            for "light", and of listings for what the recipe says.
        mirror: whether views may be mirrored; None: as the policy says, but digits never are.
        journal: a folder for tables of every step and epoch, and TensorBoard's where it is installed; from scratch
            only.
        resume: whether there must be an interrupted run to take up.
        progress: told how far it is.

    Several processes that `torchrun` has started train one listing together; the first of them saves it.

    Ctrl-C ends training early and keeps the best so far; before the first rung it ends everything; during the
    evaluation it leaves a model without a score.

    Raises:
        DataError, ArchitectureError, UsageError, ModelError, TrainingError: see `mirada.errors`.
    """
    begin = time.perf_counter()
    if out is not None:
        check_place(Path(out), Path(data))
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    climbing = {"retrain": retrain, "minutes": minutes, "until": until}
    request = request_of(
        network,
        recipe,
        given,
        settings or {},
        climbing,
        augment=augment,
        has_journal=journal is not None,
        has_weights=weights is not None,
        seed=seed,
    )
    source, chosen = request.source, request.recipe
    if not isinstance(source, Backbone):
        import_ahead("torch")
    dataset = read(data)
    if dataset.task != "classify":
        raise DataError(
            f"{dataset.where} ({dataset.kind}) is no set of one class an image, which is what can be learnt so far; "
            "mirada check, convert and augment take it"
        )
    parts = split(dataset, seed=seed, group=group)
    policy = None if augment is None else policy_for(dataset, augment, mirror)
    if policy is not None or chosen.policy is not None:
        chosen = replace(chosen, policy=policy_for(dataset, policy or chosen.policy or "none", mirror))
    job = Job(dataset, parts, seed, progress)
    content = None if weights is None else _content_of(Path(weights))
    told = None if policy is None else policy.to_json()
    how = climbing if isinstance(source, Backbone) else {"recipe": chosen.json(), "finds_rate": request.finds_rate}
    key = key_of(job, source, how | {"weights": content, "augment": told, "mirror": mirror})
    begun = _begun(out, key)
    place = Place(None if out is None else kept_beside(Path(out)), key, None if journal is None else Path(journal))
    if resume and begun is None and not place.is_begun:
        raise UsageError(f"there is no interrupted training of {out} to take up: leave --resume out to begin one")

    def keep(model: Model) -> None:
        """Save what is not finished yet, unless something else has taken the place: then it is saved at the end."""
        if out is not None and free_place(Path(out), key) == Path(out):
            record = _record(job, model.training, begin, key)
            save(
                replace(model, manifest_or_json=parts.manifest, training=record),
                Path(out),
                over=is_unfinished(Path(out)),
            )

    if isinstance(source, Backbone):
        body = Body(source, Path(weights) if weights is not None else None)
        deadline = math.inf if minutes is None else begin + 60 * minutes
        views = policy or policy_for(dataset, "light", mirror)
        model, val_answers = climb(job, body, Options(retrain, deadline, until, views), keep, begun)
        if retrain == "head" and (augment, mirror) != (None, None):
            model = _noted(model, "A new head alone is solved for on the pictures as they are, without random views.")
        elif views.mixup or views.cutmix:
            model = _noted(
                model, "Pictures are mixed where a listing is trained from scratch; the ladder does without."
            )
    else:
        from mirada.learn.ranks import leave_ranks
        from mirada.learn.scratch import train_from_scratch

        model, val_answers = train_from_scratch(job, source, chosen, place, finds_rate=request.finds_rate), None
        leave_ranks()
        if not is_first_rank():
            return model
    model = replace(model, manifest_or_json=parts.manifest, training=_record(job, model.training, begin))
    evaluations: dict[Part, Evaluation] = {}
    try:
        model, evaluations = _finished(model, job, val_answers)
    except KeyboardInterrupt:  # what was learnt is not lost with the score
        model = _noted(model, _STOPPED)
    seconds = time.perf_counter() - begin
    if minutes is not None and seconds > 1.05 * 60 * minutes:
        model = _noted(model, f"It took {duration(seconds)}, more than asked for. {_LEAST}")
    limit = {} if minutes is None else {"minutes": minutes}
    model = replace(model, training=model.training | {"seconds": round(seconds, 2)} | limit)
    if out is None:
        return model
    options: dict[str, Any] = {
        "from": request.network,
        "recipe": recipe.name if isinstance(recipe, Recipe) else recipe,
    }
    options |= {"seed": seed, "group": group, "weights": weights, **given}
    options["augment"] = _said(augment) if isinstance(augment, Policy) else augment
    options["mirror"] = mirror
    options |= climbing if isinstance(source, Backbone) else {}
    options["set"] = [f"{name}={value}" for name, value in (settings or {}).items()]
    model = _saved(model, Path(out), evaluations, job, _command(data, options), key)
    if place.folder is not None:
        shutil.rmtree(place.folder, ignore_errors=True)
    return model


def kept_beside(out: Path) -> Path:
    """Where the checkpoints of a listing are kept while it is trained: beside the model that it is to become."""
    return out.with_name(f"{out.name[:200]}.unfinished")


def _noted(model: Model, note: str) -> Model:
    return replace(model, training=model.training | {"notes": [*model.training["notes"], note]})


def _saved(model: Model, out: Path, evaluations: dict[Part, Evaluation], job: Job, command: str, key: str) -> Model:
    """Save a finished model with its report, also where something else has taken its place meanwhile: then beside it.

    Ctrl-C leaves the report out.
    """
    from mirada.learn.report import report

    path = free_place(out, key)
    if path != out:
        model = _noted(model, f"{out} was taken by something else during the training: the model is in {path}.")
    job.progress("writing the report", 0, None)
    samples = {sample.key: sample for part in evaluations for sample in job.samples(part)}
    page = None
    try:
        page = report(model, evaluations, samples, name=path.name, command=command)
    except KeyboardInterrupt:
        pass
    finally:  # whatever became of the report, the model is not lost
        save(model, path, report=page, over=is_unfinished(path))
    job.progress("writing the report", 1, 1)
    return replace(model, path=path)


def _said(policy: Policy) -> str:
    """How a command names a policy: one of your own by a file that holds it."""
    return policy.name if POLICIES.get(policy.name) == policy else f"{policy.name}.json"


def _command(data: str | os.PathLike[str], options: dict[str, Any]) -> str:
    """The command line that trains the same model again."""
    words = ["mirada", "train", os.fspath(data)]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{name}")
        elif isinstance(value, list):
            words += [word for each in value for word in (f"--{name}", each)]
        elif value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def _content_of(file: Path) -> str:
    """Its SHA-256; of one that cannot be read, which is refused where it is needed, the name."""
    try:
        return sha256(file)
    except OSError:
        return os.fspath(file)


def _begun(out: str | os.PathLike[str] | None, key: str) -> Model | None:
    """What an interrupted run of the same call has saved."""
    if out is None or not is_unfinished(Path(out)):
        return None
    model = load(out)
    check_same(Path(out), str(model.training.get("key")), key)
    return model


def check_place(out: Path, data: Path) -> None:
    """Refuse a place where a new model of this data cannot be written, before any work is done.

    Nothing is written into a data set: a model there would be read as a class the next time.

    Raises:
        UsageError: something other than an unfinished model exists at `out`, its folder cannot be written to, or it
            lies inside the data.
    """
    if not is_unfinished(out):
        check_new(out)
    if lies_in(out, data):
        raise UsageError(
            f"{out} lies inside the data {data}, where nothing is written: give a place outside it with -o"
        )


def _finished(model: Model, job: Job, val_answers: Answers | None) -> tuple[Model, dict[Part, Evaluation]]:
    """Calibrate on the validation images, then look at the test images, once.

    A part of which nothing can be read gives a note, not a lost model.
    """
    answered = val_answers or _watched(model, job.samples("val"), "val", job.progress)
    model = _calibrated(model, answered)
    notes, unreadable, scores = list(model.training["notes"]), list(model.training["unreadable"]), {}
    evaluations: dict[Part, Evaluation] = {}
    for part in ("val", "test"):
        samples = job.samples(part)
        if not samples:
            continue
        answers = answered if part == "val" else _watched(model, samples, part, job.progress)
        try:
            evaluation = evaluation_of(model, answers, part)
        except DataError as error:
            notes.append(f"There is no score on {part}: {error}")
            continue
        evaluations[part], scores[part] = evaluation, evaluation.summary()
        if part == "test":  # those of val are there already
            unreadable += failures_json(evaluation.failures)
            if evaluation.interval[0] <= evaluation.commonest_share:
                notes.append(_NOTHING_LEARNT)
    training = model.training | {"notes": notes, "unreadable": unreadable}
    return replace(model, scores=scores, training=training), evaluations


def _watched(model: Model, samples: list[Sample], part: str, progress: Progress) -> Answers:
    answered: Answers = []
    for answer in model.answers(samples):
        answered.append(answer)
        progress(f"evaluating on {part}", len(answered), len(samples))
    return answered


def _calibrated(model: Model, answered: Answers) -> Model:
    """The model with the temperature and the threshold that the validation images give."""
    read = [(s.label.class_id, logits) for s, logits in answered if s.label and not isinstance(logits, ImageError)]
    if not read:
        return model
    class_ids, logits = np.array([k for k, _ in read]), np.stack([row for _, row in read])
    task = replace(model.task, temperature=fit_temperature(logits, class_ids))
    probabilities = task.probabilities(logits)
    is_right = probabilities.argmax(axis=1) == class_ids
    threshold = sure_threshold(probabilities.max(axis=1), is_right, PRECISION)
    training = model.training | {"sure_precision": PRECISION, "sure_share_of_val": threshold.share}
    return replace(model, task=replace(task, sure_from=threshold.value), training=training)


_LEAST = (
    "A head and its test are the least; where a network is used for the first time, trying how to run it adds some."
)
_STOPPED = "Evaluation was stopped: the model has no score, and is not calibrated. mirada evaluate gives the score."
_NOTHING_LEARNT = (
    "On test the model is not clearly better than naming the commonest class each time: it may have learnt nothing, or "
    "the test part is too small to tell."
)


def _record(job: Job, learnt: dict[str, Any], begin: float, key: str | None = None) -> dict[str, Any]:
    """What is said of the training in the model: what data, how, how long. With a key it is not finished yet."""
    notes = [*job.dataset.notes, *job.parts.notes, *_notes_on_sizes(job), *learnt.get("notes", ())]
    return {
        "data": {"name": job.dataset.name, "kind": job.dataset.kind},
        "images": {part: len(positions) for part, positions in job.parts.parts.items()},
        "seed": job.seed,
        **learnt,
        "seconds": round(time.perf_counter() - begin, 2),
        "notes": list(dict.fromkeys(notes)),
        **({} if key is None else {"key": key}),
    }


def _notes_on_sizes(job: Job) -> list[str]:
    if job.parts.val:
        return []
    return ["There are too few images for a validation part: choices that it would make were left at their defaults."]
