# Degrees of freedom by pbkrtest and lmerTest, and cluster-robust errors by clubSandwich, on data sets that R ships.
# Run: cd tests/reference/r && Rscript smallsample.R > smallsample.json
# Reaction times of 18 subjects (Belenky et al. 2003, J. Sleep Res.), inhibition zones of penicillin samples on plates (Davies and
# Goldsmith 1972), yields of sugar beets in a split-plot experiment (Halekoh and Hoejsgaard 2014, J. Stat. Softw. 59).
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(clubSandwich)})
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-10))
data(cbpp); data(sleepstudy); data(Penicillin)
beets <- get(data(beets, package = "pbkrtest"))
write.csv(sleepstudy, "sleepstudy.csv", row.names = FALSE)
write.csv(Penicillin, "penicillin.csv", row.names = FALSE)
beets <- data.frame(block = as.character(beets$block), sow = as.character(beets$sow), harvest = as.character(beets$harvest),
                    yield = beets$yield)
beets$plot <- paste(beets$block, beets$harvest)
write.csv(beets, "beets.csv", row.names = FALSE)
models <- list(
  sleepstudy = lmer(Reaction ~ Days + (1 + Days | Subject), sleepstudy, control = tight),
  penicillin = lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, control = tight),
  beets = lmer(yield ~ sow + harvest + (1 | block) + (1 | plot), beets, control = tight))
out <- list()
for (name in names(models)) {
  m <- models[[name]]
  k <- coef(summary(m, ddf = "Kenward-Roger")); s <- coef(summary(m, ddf = "Satterthwaite"))
  out[[name]] <- list(estimate = fixef(m), kr_se = setNames(k[, "Std. Error"], rownames(k)),
                      kr_df = setNames(k[, "df"], rownames(k)), satterthwaite_df = setNames(s[, "df"], rownames(s)))
  if (length(fixef(m)) > 1) {
    some <- if (name == "beets") paste0("sowsow", 2:5) else names(fixef(m))
    l <- 1 * outer(some, names(fixef(m)), "==")
    f <- c(getKR(KRmodcomp(m, l), "Fstat"), getKR(KRmodcomp(m, l), "ddf"))
    a <- contestMD(m, l, ddf = "Satterthwaite")
    out[[name]]$f <- c(kr = f[[1]], kr_df = f[[2]], satterthwaite = a[["F value"]], satterthwaite_df = a$DenDF)
  }
  by <- list(sleepstudy = "Subject", beets = "block")[[name]]
  if (!is.null(by)) for (type in c("CR0", "CR1", "CR1S", "CR2", "CR3")) {
    cluster <- if (by == "Subject") sleepstudy$Subject else beets$block
    v <- as.matrix(vcovCR(m, cluster = cluster, type = type))
    out[[name]][[type]] <- sqrt(diag(v))
  }
}
n <- function(x) paste0("{", paste(sprintf('"%s": %.9g', sub("(Intercept)", "Intercept", names(x), fixed = TRUE), x), collapse = ", "), "}")
shown <- function(l) paste0("{", paste(sprintf('"%s": %s', names(l), sapply(l, n)), collapse = ", "), "}")
cat("{\n")
versions <- sapply(c("lme4", "lmerTest", "pbkrtest", "clubSandwich"), function(p) paste(p, packageVersion(p)))
cat(sprintf('"origin": "%s, %s; smallsample.R",\n', R.version.string, paste(versions, collapse = ", ")))
cat(paste(sprintf('"%s": %s', names(out), sapply(out, shown)), collapse = ",\n"))
cat("\n}\n")
