# Choices and categories: Rscript choices.R (R 4.3, survival 3.5, nnet 7.3, jsonlite) writes choices.csv and choices.json.
#
# The data are R's own: `infert` (Trichopoulos et al. 1976), matched sets of one case and one or two controls. Its rows
# are alternatives for survival::clogit and cases for nnet::multinom.
suppressMessages({
  library(survival)
  library(nnet)
})
data <- infert[, c("education", "age", "parity", "induced", "case", "spontaneous", "stratum")]
write.csv(data, "choices.csv", row.names = FALSE, quote = FALSE)

fit_of <- function(m, coefficients, se) {
  list(loglik = as.numeric(logLik(m)), coef = as.list(coefficients), se = as.list(se))
}
clogit_of <- function(formula) {
  m <- clogit(formula, data = data, method = "exact")
  fit_of(m, coef(m), sqrt(diag(vcov(m))))
}
out <- list(
  clogit = clogit_of(case ~ spontaneous + induced + strata(stratum)),
  clogit_product = clogit_of(case ~ spontaneous * induced + strata(stratum))
)
m <- multinom(education ~ age + parity + induced, data, trace = FALSE, maxit = 1000, reltol = 1e-15, abstol = 1e-15)
b <- coef(m)
name <- function(b) paste0("mu[", rep(rownames(b), each = ncol(b)), "].", sub("(Intercept)", "Intercept", colnames(b), fixed = TRUE))
flat <- function(b) setNames(as.vector(t(b)), name(b))
out$multinom <- fit_of(m, flat(b), flat(summary(m)$standard.errors))
out$multinom$fitted <- unname(fitted(m)[1:5, ])
writeLines(jsonlite::toJSON(out, auto_unbox = TRUE, digits = NA, pretty = TRUE), "choices.json")
