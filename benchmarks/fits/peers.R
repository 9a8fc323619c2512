# One fit of one case by nlme or saemix. Arguments: engine, table, structure (oral1, bolus1, infusion1, bolus2), error, then
# name=value of each parameter to start from. Prints a line: seconds, then name=estimate (natural scale), omega.name, error sds.
a <- commandArgs(TRUE)
engine <- a[1]; d <- read.csv(a[2]); form <- a[3]; error <- a[4]
start <- sapply(strsplit(a[-(1:4)], "="), function(p) setNames(as.numeric(p[2]), p[1]))
doses <- d[d$EVID == 1, ]; d <- d[d$EVID == 0, ]
one <- function(t, dose, tinf, p) switch(form,
  oral1 = { k <- p$cl / p$v; dose * p$ka / p$v / (p$ka - k) * (exp(-k * t) - exp(-p$ka * t)) },
  bolus1 = dose / p$v * exp(-p$cl / p$v * t),
  infusion1 = { k <- p$cl / p$v; dose / tinf / p$cl * (1 - exp(-k * pmin(t, tinf))) * exp(-k * pmax(t - tinf, 0)) },
  bolus2 = {
    k10 <- p$cl / p$v1; k12 <- p$q / p$v1; k21 <- p$q / p$v2; s <- k10 + k12 + k21; r <- sqrt(s^2 - 4 * k10 * k21)
    x <- (s + r) / 2; y <- (s - r) / 2
    dose / p$v1 * ((x - k21) * exp(-x * t) + (k21 - y) * exp(-y * t)) / (x - y)
  })
# Doses by subject as columns, padded with nothing, so that a prediction is a sum over them.
ids <- unique(d$ID); most <- max(table(doses$ID))
wide <- function(col, pad) t(sapply(ids, function(i) { x <- doses[doses$ID == i, col]; c(x, rep(pad, most - length(x))) }))
at <- wide("TIME", Inf); amt <- wide("AMT", 0); rate <- wide("RATE", 0)
if (most == 1) { at <- t(at); amt <- t(amt); rate <- t(rate) }
d$WHO <- match(d$ID, ids)
predicted <- function(who, time, p) {
  total <- 0
  for (j in 1:most) {
    t <- time - at[who, j]; on <- t >= 0; t[!on] <- 0
    tinf <- ifelse(rate[who, j] > 0, amt[who, j] / rate[who, j], 1)
    total <- total + ifelse(on, one(t, amt[who, j], tinf, p), 0)
  }
  total
}
names_ <- names(start)
if (engine == "nlme") {
  library(nlme)
  f <- eval(parse(text = sprintf("function(WHO, TIME, %s) predicted(WHO, TIME, list(%s))", paste0("l", names_, collapse = ", "),
    paste0(names_, " = exp(l", names_, ")", collapse = ", "))))
  effects <- lapply(paste0("l", names_, " ~ 1"), as.formula)
  model <- as.formula(sprintf("DV ~ f(WHO, TIME, %s)", paste0("l", names_, collapse = ", ")))
  weights <- switch(error, additive = NULL, proportional = varPower(form = ~ fitted(.), fixed = list(power = 1)),
    combined = varConstProp(const = 0.7, prop = 0.1))
  seconds <- system.time(fit <- nlme(model, data = d, fixed = effects, random = pdDiag(effects), groups = ~ ID, weights = weights,
    start = log(start), method = "ML", control = nlmeControl(returnObject = TRUE, msVerbose = FALSE)))[["elapsed"]]
  omega <- as.numeric(VarCorr(fit)[paste0("l", names_), "StdDev"])
  residual <- if (error == "combined") abs(coef(fit$modelStruct$varStruct, unconstrained = FALSE)) * fit$sigma else fit$sigma
  theta <- exp(fixef(fit))
} else {
  suppressMessages(library(saemix, lib.loc = Sys.getenv("R_LIBS")))
  data <- saemixData(d, name.group = "ID", name.predictors = c("WHO", "TIME"), name.response = "DV", verbose = FALSE)
  f <- function(psi, id, xidep) {
    p <- setNames(lapply(seq_along(names_), function(i) psi[id, i]), names_)
    predicted(xidep[, 1], xidep[, 2], p)
  }
  n <- length(start)
  model <- saemixModel(model = f, psi0 = matrix(start, 1, dimnames = list(NULL, names_)), transform.par = rep(1, n),
    covariance.model = diag(n), error.model = c(additive = "constant", proportional = "proportional", combined = "combined")[[error]],
    verbose = FALSE)
  seconds <- system.time(fit <- saemix(model, data, list(seed = 1, displayProgress = FALSE, save = FALSE, save.graphs = FALSE,
    print = FALSE, warnings = FALSE, ll.is = FALSE)))[["elapsed"]]
  theta <- fit@results@fixed.effects[seq_len(n)]; omega <- sqrt(diag(fit@results@omega))[seq_len(n)]
  residual <- fit@results@respar[fit@results@respar != 0]
}
cat("RESULT", seconds, paste0(names_, "=", signif(theta, 10)), paste0("omega.", names_, "=", signif(omega, 10)), signif(residual, 10), "\n")
