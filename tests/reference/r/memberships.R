# Multiple membership in lme4, its random-effect matrix replaced by ours (Bates et al. 2015, section on modular functions).
# Run: cd tests/reference/r && Rscript memberships.R PATH_TO_SHARED_DATA > memberships.json
suppressMessages({library(lme4); library(Matrix)})
data <- commandArgs(trailingOnly = TRUE)[1]
out <- list()
numbers <- function(x) paste(sprintf('"%s": %.10g', names(x), x), collapse = ", ")
add <- function(name, call, loglik, coef, se) out[[name]] <<- list(call = call, loglik = loglik, coef = coef, se = se)
tight <- lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore")

# the levels of each term of `formula` in lme4's order, Zt of the terms in `swap` replaced (levels in rows)
fit <- function(formula, d, swap, reml) {
  parts <- lFormula(formula, d, REML = reml, control = tight)
  for (term in names(swap)) {
    parts$reTrms$Ztlist[[term]] <- swap[[term]]
  }
  parts$reTrms$Zt <- do.call(rbind, parts$reTrms$Ztlist)
  objective <- do.call(mkLmerDevfun, parts)
  opt <- optimizeLmer(objective, optimizer = "bobyqa", control = list(rhoend = 1e-9, maxfun = 1e5))
  mkMerMod(environment(objective), opt, parts$reTrms, parts$fr)
}
report <- function(m, names) {
  v <- as.data.frame(VarCorr(m))$sdcor
  b <- fixef(m); se <- sqrt(diag(as.matrix(vcov(m))))
  names(b) <- names(se) <- sub("(Intercept)", "Intercept", names(b), fixed = TRUE)
  list(loglik = as.numeric(logLik(m)), coef = c(b, setNames(v, names)), se = se)
}

# -- workers: company effects weighted equally, by the share of the year, by share ** kappa (not normalised)
w <- read.csv(file.path(data, "workers_companies.csv"))
w$female <- as.numeric(w$sex == "female")
slots <- as.matrix(w[, c("company", "company2", "company3", "company4")])
shares <- as.matrix(w[, paste0("weight", 1:4)])
ids <- sort(unique(slots[slots > 0]))
w$companies <- factor(rep_len(ids, nrow(w)), levels = ids)  # a stand-in: its matrix is replaced
Zt <- function(weights) {
  at <- which(slots > 0, arr.ind = TRUE)
  sparseMatrix(i = match(slots[at], ids), j = at[, 1], x = weights[at], dims = c(length(ids), nrow(w)))
}
form <- logearn ~ age_40 + female + (1 | companies)
term <- "1 | companies"
n <- rowSums(slots > 0)
equal <- (slots > 0) / n
powered <- function(kappa) ifelse(slots > 0, shares^kappa, 0)
for (reml in c(FALSE, TRUE)) {
  word <- if (reml) "reml" else "ml"
  for (kind in c("equal", "shares")) {
    weights <- if (kind == "equal") equal else ifelse(slots > 0, shares, 0)
    r <- report(fit(form, w, setNames(list(Zt(weights)), term), reml), c("company.sd", "sigma"))
    add(paste("workers", kind, word, sep = "_"), paste("lmer, Zt replaced by", kind, word), r$loglik, r$coef, r$se)
  }
}
height <- function(kappa) as.numeric(logLik(fit(form, w, setNames(list(Zt(powered(kappa))), term), FALSE)))
best <- optimize(height, c(0.2, 4), maximum = TRUE, tol = 1e-7)
r <- report(fit(form, w, setNames(list(Zt(powered(best$maximum))), term), FALSE), c("company.sd", "sigma"))
h <- 1e-2
curve <- (height(best$maximum + h) - 2 * height(best$maximum) + height(best$maximum - h)) / h^2
add("workers_kappa_ml", "optimize over kappa of lmer's ML, Zt replaced by share ** kappa", r$loglik,
    c(r$coef, company.w.kappa = best$maximum), c(r$se, company.w.kappa = sqrt(-1 / curve)))

# -- the diallel: line (both parents), cross and reciprocal effects
t <- read.csv(file.path(data, "tobacco_diallel.csv"))
lines <- sort(unique(c(t$male, t$female)))
t$line <- factor(rep_len(lines, nrow(t)), levels = lines)
t$pair <- factor(ifelse(t$male < t$female, paste(t$male, t$female, sep = " x "), paste(t$female, t$male, sep = " x ")))
t$ordered <- factor(paste(t$male, t$female, sep = " x "))
t$place <- factor(paste(t$year, t$block))
both <- sparseMatrix(i = c(match(t$male, lines), match(t$female, lines)), j = rep(seq_len(nrow(t)), 2), x = 1,
                     dims = c(length(lines), nrow(t)))
m <- fit(day ~ place + (1 | line) + (1 | pair) + (1 | ordered), t, list("1 | line" = both), TRUE)
v <- as.data.frame(VarCorr(m)); sds <- setNames(v$sdcor, v$grp)
b <- fixef(m); names(b) <- sub("(Intercept)", "Intercept", names(b), fixed = TRUE)
se <- setNames(sqrt(diag(as.matrix(vcov(m)))), names(b))
add("diallel_reml", "lmer REML, Zt of lines replaced by the sum of both parents", as.numeric(logLik(m)),
    c(b, line.sd = sds[["line"]], pair.sd = sds[["pair"]], ordered.sd = sds[["ordered"]], sigma = sds[["Residual"]]), se)

rows <- sapply(names(out), function(k) sprintf(
  '  "%s": {"call": "%s", "loglik": %.10g, "coef": {%s}, "se": {%s}}', k, out[[k]]$call, out[[k]]$loglik,
  numbers(out[[k]]$coef), numbers(out[[k]]$se)))
cat("{\n", sprintf('  "origin": "R %s, lme4 %s",\n', getRversion(), packageVersion("lme4")),
    paste(rows, collapse = ",\n"), "\n}\n", sep = "")
