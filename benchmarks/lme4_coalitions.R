# The equal-weight coalition model by maximum likelihood in lme4, its random-effects matrix of parties replaced by
# the membership matrix. Prints seconds of repeated fits (from the formula to the fit), of the optimiser alone, and
# the log-likelihood. Usage: Rscript lme4_coalitions.R groups.csv memberships.csv repeats
suppressMessages({library(lme4); library(Matrix)})
arguments <- commandArgs(TRUE)
groups <- read.csv(arguments[1])
edges <- read.csv(arguments[2])
repeats <- as.integer(arguments[3])
n <- nrow(groups)
members <- max(edges$member) + 1
# any factor with as many levels as there are members serves to lay out the model
groups$party <- factor((seq_len(n) - 1) %% members)
w <- sparseMatrix(edges$member + 1, edges$group + 1, x = edges$weight, dims = c(members, n))
control <- lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore", calc.derivs = FALSE)
fit <- function() {
  laid <- lFormula(y ~ x1 + x2 + x3 + (1 | party) + (1 | country), groups, REML = FALSE, control = control)
  blocks <- lapply(names(laid$reTrms$Ztlist), function(name) {
    if (grepl("party", name)) as(w, "dgCMatrix") else laid$reTrms$Ztlist[[name]]
  })
  laid$reTrms$Ztlist[] <- blocks
  laid$reTrms$Zt <- do.call(rbind, blocks)
  deviance <- do.call(mkLmerDevfun, c(laid, list(control = control)))
  began <- proc.time()[["elapsed"]]
  best <- optimizeLmer(deviance)
  seconds <<- proc.time()[["elapsed"]] - began
  mkMerMod(environment(deviance), best, laid$reTrms, fr = laid$fr)
}
seconds <- 0
invisible(fit())
for (k in seq_len(repeats)) {
  began <- proc.time()[["elapsed"]]
  done <- fit()
  cat(sprintf("%.6f %.6f %.9f\n", proc.time()[["elapsed"]] - began, seconds, as.numeric(logLik(done))))
}
