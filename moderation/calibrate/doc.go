// Package calibrate finds thresholds for a category of a model from an operator's own lawful, labelled set of scores. This project holds no
// such set: the thresholds it comes with are customary values, not measured ones.
//
// It is measured with shares of each kind of media, which do not depend on how many of each are in the set; how often an alarm is right
// does depend on that, so precision is always given for a prevalence, the share of explicit media in real traffic.
package calibrate
