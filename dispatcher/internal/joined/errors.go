// Package joined takes apart what errors.Join put together.
package joined

// Errors lists the errors that are joined in err, also within each other; none of nil.
func Errors(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, each := range joined.Unwrap() {
		all = append(all, Errors(each)...)
	}
	return all
}
