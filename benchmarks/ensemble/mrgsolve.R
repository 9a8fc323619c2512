# Times mrgsolve on the model, parameters and settings of a folder; writes told.json and found.bin (patients x times) there.
if (!requireNamespace("mrgsolve", quietly = TRUE)) quit(status = 3)
suppressMessages(library(mrgsolve))
folder <- commandArgs(TRUE)[1]
settings <- read.csv(file.path(folder, "settings.csv"), colClasses = "character")
s <- as.list(setNames(settings$value, settings$name))
number <- function(name) as.numeric(s[[name]])
began <- proc.time()[["elapsed"]]
model <- mread("model", folder, soloc = folder, quiet = TRUE)
compile <- proc.time()[["elapsed"]] - began
model <- update(model, rtol = number("rtol"), atol = number("atol"), maxsteps = 50000)
patients <- read.csv(file.path(folder, "parameters.csv"))
patients <- cbind(ID = seq_len(nrow(patients)), patients)
dose <- ev(amt = number("amount"), ii = number("every"), addl = number("doses") - 1, cmt = s$into)
run <- function() mrgsim_ei(
  model, dose, patients, end = number("end"), delta = number("delta"), obsonly = TRUE, recsort = 3, output = "matrix",
  Req = s$observed
)
found <- run()
runs <- c()
while (length(runs) < 100) {
  runs <- c(runs, system.time(run(), gcFirst = FALSE)[["elapsed"]])
  if (length(runs) >= number("repeats") && sum(runs) >= number("seconds")) break
  if (length(runs) > 1 && sum(runs) > 10 * number("seconds")) break
}
writeBin(found[, s$observed], file.path(folder, "found.bin"))
cat(sprintf('{"compile": %.3f, "runs": [%s], "version": "%s"}', compile,
  paste(sprintf("%.4f", runs), collapse = ", "), packageVersion("mrgsolve")), file = file.path(folder, "told.json"))
