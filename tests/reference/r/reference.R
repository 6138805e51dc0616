# Reference fits of the data beside this file by R's own functions; where base R has none, by optim on the density.
# Run: cd tests/reference/r && Rscript reference.R > reference.json
suppressMessages({library(lme4); library(survival); library(MASS)})
read <- function(name) read.csv(paste0(name, ".csv"))
out <- list()
add <- function(name, call, loglik, coef, se = NULL) {
  out[[name]] <<- list(call = call, loglik = as.numeric(loglik), coef = coef, se = se)
}
numbers <- function(x) paste(sprintf('"%s": %.10g', names(x), x), collapse = ", ")
rename <- function(x) { names(x) <- sub("(Intercept)", "Intercept", names(x), fixed = TRUE); x }

d <- read("linear")
for (reml in c(FALSE, TRUE)) {
  m <- lmer(y ~ x + z + (1 | unit), d, REML = reml)
  v <- as.data.frame(VarCorr(m))$sdcor
  add(if (reml) "lmer_reml" else "lmer_ml", sprintf("lmer(y ~ x + z + (1 | unit), REML = %s)", reml), logLik(m),
      c(rename(fixef(m)), unit.sd = v[1], sigma = v[2]))
}
d <- read("binary")
tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-9))
m <- glmer(y ~ x + z + (1 | unit), d, family = binomial, control = tight)
add("glmer_logit", "glmer(y ~ x + z + (1 | unit), binomial), nAGQ = 1", logLik(m), c(rename(fixef(m)), unit.sd = m@theta),
    rename(sqrt(diag(as.matrix(vcov(m))))))
for (points in c(2, 9, 25)) {
  m <- glmer(y ~ x + z + (1 | unit), d, family = binomial, control = tight, nAGQ = points)
  add(paste0("glmer_logit_", points), sprintf("glmer(y ~ x + z + (1 | unit), binomial), nAGQ = %d", points), logLik(m),
      c(rename(fixef(m)), unit.sd = m@theta), rename(sqrt(diag(as.matrix(vcov(m))))))
}
for (link in c("logit", "probit", "cloglog")) {
  m <- glm(cbind(k, n - k) ~ x + z, binomial(link), d, epsilon = 1e-14)
  add(paste0("glm_trials_", link), sprintf("glm(cbind(k, n - k) ~ x + z, binomial(%s))", link), logLik(m), rename(coef(m)))
  m <- glm(y ~ x + z, binomial(link), d, epsilon = 1e-14)
  add(paste0("glm_binary_", link), sprintf("glm(y ~ x + z, binomial(%s))", link), logLik(m), rename(coef(m)))
}
d <- read("counts")
m <- glmer(y ~ x + z + offset(log(exposure)) + (1 | unit), d, family = poisson, control = tight)
add("glmer_poisson", "glmer(y ~ x + z + offset(log(exposure)) + (1 | unit), poisson), nAGQ = 1", logLik(m),
    c(rename(fixef(m)), unit.sd = m@theta), rename(sqrt(diag(as.matrix(vcov(m))))))
m <- glm.nb(spread ~ x + z + offset(log(exposure)), d, control = glm.control(epsilon = 1e-12, maxit = 200))
add("glm_nb", "MASS::glm.nb(spread ~ x + z + offset(log(exposure)))", logLik(m), c(rename(coef(m)), phi = m$theta))
d <- read("ordinal")
for (link in c("logistic", "probit", "cloglog")) {
  m <- polr(factor(y) ~ x + z, d, method = link, Hess = TRUE, control = list(reltol = 1e-14))
  cuts <- m$zeta
  names(cuts) <- paste0("cut.", seq_along(cuts))
  add(paste0("polr_", sub("logistic", "logit", link)), sprintf("MASS::polr(y ~ x + z, method = %s)", link), logLik(m),
      c(coef(m), cuts))
}
d <- read("durations")
forms <- list(right = Surv(d$time, d$event), left = Surv(d$left_time, d$left_event, type = "left"),
              interval = Surv(ifelse(d$lower == 0, NA, d$lower), ifelse(is.finite(d$upper), d$upper, NA), type = "interval2"))
for (family in c("weibull", "exponential", "lognormal")) for (form in names(forms)) {
  m <- survreg(forms[[form]] ~ x + z, d, dist = family, control = list(rel.tolerance = 1e-13, maxiter = 200))
  own <- switch(family, weibull = c(shape = 1 / m$scale), lognormal = c(sigma = m$scale), c())
  add(paste("survreg", family, form, sep = "_"), sprintf("survreg(%s censored ~ x + z, %s)", form, family), m$loglik[2],
      c(rename(coef(m)), own))
}
# Cox: partial likelihood and Breslow's baseline, as a piecewise-constant hazard that is cut at every event time. Where
# the log hazards are at their maximum, the full log-likelihood is the partial one plus sum d (log d - 1 - log length).
for (entry in c(FALSE, TRUE)) {
  y <- if (entry) Surv(d$entry, d$time, d$event) else Surv(d$time, d$event)
  m <- coxph(y ~ x + z, d, ties = "breslow", control = coxph.control(eps = 1e-12, iter.max = 50))
  times <- sort(unique(d$time[d$event == 1]))
  length <- diff(c(0, times))
  ratio <- exp(coef(m)[1] * (d$x - mean(d$x)) + coef(m)[2] * (d$z - mean(d$z)))
  died <- sapply(times, function(t) sum(d$time == t & d$event == 1))
  risk <- sapply(times, function(t) sum(ratio[d$time >= t & (!entry | d$entry < t)]))
  hazards <- log(died / (risk * length))
  names(hazards) <- paste0("baseline.", seq_along(hazards))
  add(if (entry) "entry_cox" else "coxph", sprintf("coxph(%s ~ x + z, ties = breslow)", if (entry) "Surv(entry, time, event)"
      else "Surv(time, event)"), m$loglik[2] + sum(died * (log(died) - 1 - log(length))), c(coef(m), hazards),
      sqrt(diag(vcov(m))))
}
best <- function(name, what, start, density) {
  f <- function(p) -sum(density(p))
  m <- optim(start, f, method = "BFGS", control = list(reltol = 1e-15, maxit = 2000))
  m <- optim(m$par, f, method = "BFGS", control = list(reltol = 1e-16, maxit = 2000))
  own <- grepl("^log_", names(start))
  p <- m$par
  p[own] <- exp(p[own])
  names(p) <- sub("^log_", "", names(start))
  add(name, what, -m$value, p)
}
start <- c(Intercept = 0.5, x = 0, z = 0)
best("entry_weibull", "optim on the Weibull density with delayed entry", c(start, log_shape = 0), function(p) {
  k <- exp(p[4]); eta <- p[1] + p[2] * d$x + p[3] * d$z; z <- k * (log(d$time) - eta)
  d$event * (log(k) + z - log(d$time)) - exp(z) + ifelse(d$entry > 0, exp(k * (log(d$entry) - eta)), 0)
})
d <- read("continuous")
best("gamma", "optim on the gamma density", c(start, log_shape = 0), function(p) {
  a <- exp(p[4]); mu <- exp(p[1] + p[2] * d$x + p[3] * d$z); dgamma(d$positive, a, a / mu, log = TRUE)
})
best("beta", "optim on the beta density", c(start, log_phi = 1), function(p) {
  mu <- plogis(p[1] + p[2] * d$x + p[3] * d$z); phi <- exp(p[4]); dbeta(d$share, mu * phi, (1 - mu) * phi, log = TRUE)
})
best("student", "optim on Student's density", c(start, log_sigma = 0, log_nu = 1.5), function(p) {
  s <- exp(p[4]); dt((d$tailed - p[1] - p[2] * d$x - p[3] * d$z) / s, exp(p[5]), log = TRUE) - log(s)
})
version <- sprintf("%s; lme4 %s, survival %s, MASS %s", R.version.string, packageVersion("lme4"),
                   packageVersion("survival"), packageVersion("MASS"))
rows <- sapply(names(out), function(name) {
  r <- out[[name]]
  se <- if (is.null(r$se)) "" else sprintf(', "se": {%s}', numbers(r$se))
  sprintf('  "%s": {"call": "%s", "loglik": %.10g, "coef": {%s}%s}', name, r$call, r$loglik, numbers(r$coef), se)
})
cat(sprintf('{\n  "origin": "%s, by reference.R",\n%s\n}\n', version, paste(rows, collapse = ",\n")))
