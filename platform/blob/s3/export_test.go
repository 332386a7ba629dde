package s3

// SetCopyLimits makes objects above most bytes be copied in parts of part
// bytes.
func (s *Store) SetCopyLimits(most, part int64) { s.maxCopy, s.copyPart = most, part }
