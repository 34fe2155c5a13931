"""The paper as one study: each result of Ding et al. 2023 as a step, and one report of all.

``crmnet reproduce`` calls :func:`crmnet.studies.reproduce.runner.reproduce`. In the order of the
work: :mod:`.profiles` holds sizes and data of the three profiles, :mod:`.steps` the list of steps,
:mod:`.data_steps` to :mod:`.released_step` what each step does by functions of other folders,
:mod:`.runner` runs what is missing, and :mod:`.page` writes the report. :mod:`.paper` holds the
paper's own numbers, :mod:`.results` what a step returns.
"""
