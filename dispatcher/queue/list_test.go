package queue

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzList(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0, 1, 2, 3, 2, 2})
	f.Add([]byte{1, 1, 1, 130, 5, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		place, age := list{link: byPlace}, list{link: byAge}
		var byPlaceWant, byAgeWant []*entry
		for _, b := range script {
			e := &entry{}
			switch b % 3 {
			case 0: // the lists are independent of each other
				place.pushBack(e)
				age.pushFront(e)
				byPlaceWant = append(byPlaceWant, e)
				byAgeWant = slices.Insert(byAgeWant, 0, e)
			case 1:
				place.pushFront(e)
				age.pushBack(e)
				byPlaceWant = slices.Insert(byPlaceWant, 0, e)
				byAgeWant = append(byAgeWant, e)
			case 2:
				if len(byPlaceWant) > 0 {
					e = byPlaceWant[int(b/3)%len(byPlaceWant)]
					place.remove(e)
					age.remove(e)
					byPlaceWant = slices.DeleteFunc(byPlaceWant, func(x *entry) bool { return x == e })
					byAgeWant = slices.DeleteFunc(byAgeWant, func(x *entry) bool { return x == e })
				}
			}
			checkList(t, &place, byPlaceWant)
			checkList(t, &age, byAgeWant)
		}
	})
}

func checkList(t *testing.T, l *list, want []*entry) {
	t.Helper()
	require.Equal(t, len(want), l.n)
	var forth, back []*entry
	for e := l.front; e != nil; e = e.links[l.link].next {
		forth = append(forth, e)
	}
	for e := l.back; e != nil; e = e.links[l.link].prev {
		back = append(back, e)
	}
	slices.Reverse(back)
	require.True(t, slices.Equal(want, forth), "forwards")
	require.True(t, slices.Equal(want, back), "backwards")
}
