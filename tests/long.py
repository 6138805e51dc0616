"""Tests that are left to ``make test-all``, because they take seconds and shorter ones of their kind stand beside them.

A name is the beginning of a test's own, below ``tests/``; with a bracket it is that of some of its parameters.
"""

LONG = (
    "aggregates/test_feature_fits.py::test_a_fit_predicts_other_groups_and_survives_on_disk[E with",
    "aggregates/test_feature_fits.py::test_a_fit_predicts_other_groups_and_survives_on_disk[B:z",
    "aggregates/test_interactions.py::test_the_joint_density_is_that_of_jax",
    "combine/test_separation.py::test_outcomes_that_overlap_raise_no_alarm[ces(2)]",
    "combine/test_weights_with_effects.py::test_the_likelihood_is_that_of_dense_algebra[bernoulli]",
    "contracts/test_family_by_another_name.py::test_every_verb_gives_the_same[ml-ordinal]",
    "contracts/test_family_by_another_name.py::test_every_verb_gives_the_same[ml-weibull]",
    "contracts/test_family_by_another_name.py::test_every_verb_gives_the_same[mcmc-cox]",
    "contracts/test_sound.py::test_contract[shares_sum_to_one-weights with effects-gaussian]",
    "contracts/test_verbs.py::test_every_verb_answers_or_refuses_by_name[costly verbs-two blocks and a unit-gaussian",
    "engines/test_chains.py::test_other_processes_change_nothing",
    "engines/test_chains.py::test_other_workers_extend_to_the_same_draws",
    "engines/test_chains.py::test_processes_give_the_draws_of_threads_whatever_the_model[cox, a walk]",
    "engines/test_exact_posterior.py::test_posterior_means_are_those_of_quadrature[student on a member covariate]",
    "engines/test_exact_posterior.py::test_posterior_means_are_those_of_quadrature[normal on a coefficient]",
    "engines/test_joint.py::test_jax_agrees_with_numpy[categorical]",
    "engines/test_joint.py::test_jax_agrees_with_numpy[cox surv(t, event) all]",
    "engines/test_joint.py::test_jax_agrees_with_numpy[cox surv(t, event) random_walk]",
    "engines/test_joint.py::test_jax_agrees_with_numpy[ordinal]",
    "engines/test_joint.py::test_jax_agrees_with_numpy[student]",
    "engines/test_nuts.py::test_the_two_samplers_agree[gaussian]",
    "extremes/test_no_foreign_warnings.py::test_no_kernel_of_blas_brings_a_warning[Haswell]",
    "partitioned/test_partitions.py::test_a_dask_frame_on_a_cluster",
    "predictors/test_one_covariance.py::test_nuts_has_the_same_density[members]",
    "predictors/test_one_covariance.py::test_nuts_has_the_same_density[slopes]",
    "results/test_criticism.py::test_kfold_by_maximum_likelihood_agrees_with_leaving_one_out",
    "results/test_criticism.py::test_pit_is_uniform_for_counts_and_censored_durations[weibull]",
    "results/test_keeping.py::test_without_data_the_data_must_be_those_of_the_fit[mcmc]",
    "results/test_replicate.py::test_a_likelihood_ratio_of_cox_models_by_bootstrap",
)
