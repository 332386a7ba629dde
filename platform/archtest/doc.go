// Package archtest holds the rules of the house as tests: which package may
// import which, how long files and functions may be, and that every exported
// name is explained. It reads the sources of the whole module and has no code of
// its own to call.
//
// A function that is nothing but a table may be longer than the budget when its
// doc comment ends with the line
//
//	//archtest:table and the reason
package archtest
