# A residual standard deviation that depends on a covariate, by nlme (varExp: sigma * exp(b z)), ML and REML.
# Run: cd tests/reference/r && Rscript spread.R > spread.json
suppressMessages(library(nlme))
d <- read.csv("predictors.csv")
control <- lmeControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-12, msTol = 1e-14, opt = "nlminb")
fit <- function(method) {
  m <- lme(y ~ x + z, d, random = ~1 | unit, weights = varExp(form = ~z), method = method, control = control)
  coef <- c(fixef(m), log(m$sigma), coef(m$modelStruct$varStruct, unconstrained = FALSE), as.numeric(VarCorr(m)[1, 2]))
  names(coef) <- c("Intercept", "x", "z", "sigma.Intercept", "sigma.z", "unit.sd")
  sprintf('  "%s": {"loglik": %.10g, "coef": {%s}}', tolower(method), as.numeric(logLik(m)),
          paste(sprintf('"%s": %.10g', names(coef), coef), collapse = ", "))
}
origin <- sprintf("%s; nlme %s, by spread.R", R.version.string, packageVersion("nlme"))
cat(sprintf('{\n  "origin": "%s",\n%s\n}\n', origin, paste(sapply(c("ML", "REML"), fit), collapse = ",\n")))
