package store

import "github.com/google/uuid"

// OwnerUUID is owner where it is a UUID in its usual form, else nil: the old
// column owner holds nothing else.
func OwnerUUID(owner *string) *string {
	if owner == nil || len(*owner) != 36 {
		return nil
	}
	if _, err := uuid.Parse(*owner); err != nil {
		return nil
	}
	return owner
}
