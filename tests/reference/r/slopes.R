# The highest log-likelihood that lme4's optimisers reach on the data sets of slopes.py, and by which.
# Run: cd tests/reference/r && python slopes.py folder && Rscript slopes.R folder > slopes.json
suppressMessages(library(lme4))
folder <- commandArgs(TRUE)[1]
kinds <- list(slope = y ~ x + (x | g), three = y ~ x + z + (x + z | g), reml = y ~ x + (x | g), poisson = y ~ x + (x | g))
limits <- list(
  bobyqa = list(maxfun = 1e5, rhoend = 1e-8), Nelder_Mead = list(maxfun = 1e5, FtolAbs = 1e-10, XtolRel = 1e-10),
  nlminbwrap = list(eval.max = 1e4, iter.max = 1e4))
best <- function(kind, d) {
  tops <- sapply(names(limits), function(optimiser) tryCatch(suppressMessages(suppressWarnings({
    if (kind == "poisson") {
      m <- glmer(kinds[[kind]], d, family = poisson,
                 control = glmerControl(optimizer = optimiser, optCtrl = limits[[optimiser]], calc.derivs = FALSE,
                                        check.nobs.vs.nRE = "ignore", check.nobs.vs.rankZ = "ignore"))
    } else {
      m <- lmer(kinds[[kind]], d, REML = kind == "reml",
                control = lmerControl(optimizer = optimiser, optCtrl = limits[[optimiser]], calc.derivs = FALSE,
                                      check.nobs.vs.nRE = "ignore", check.nobs.vs.rankZ = "ignore"))
    }
    as.numeric(logLik(m))})), error = function(e) NA))
  list(top = max(tops, na.rm = TRUE), by = names(which.max(tops)))
}
lines <- c()
for (kind in names(kinds)) {
  found <- list()
  for (file in list.files(folder, paste0("^", kind, "-"), full.names = TRUE)) {
    number <- as.integer(sub(".*-([0-9]+)[.]csv", "\\1", file))
    d <- read.csv(file)
    found[[number + 1]] <- c(best(kind, d), sum = sum(d$y))
  }
  each <- sapply(found, function(f) sprintf('{"loglik": %.10g, "by": "%s", "sum": %.10g}', f$top, f$by, f$sum))
  lines <- c(lines, sprintf('  "%s": [\n    %s\n  ]', kind, paste(each, collapse = ",\n    ")))
}
origin <- sprintf('  "origin": "slopes.R, R %s, lme4 %s, the best of %s"', getRversion(), packageVersion("lme4"),
                  paste(names(limits), collapse = ", "))
cat("{\n", paste(c(origin, lines), collapse = ",\n"), "\n}\n", sep = "")
