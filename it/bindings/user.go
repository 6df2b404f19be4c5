// SPDX-License-Identifier: Apache-2.0

// A user program in Go that uses its maps by bindings, and tells what it finds.
package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func one[T any](value T, err error) T {
	must(err)
	return value
}

func there[T any](value T, is bool, err error) T {
	must(err)
	if !is {
		panic("there is none")
	}
	return value
}

func literal() EverythingValue {
	var either EverythingValueEither
	must(either.SetParts(EverythingValueEitherParts{X: 2, Y: 3}))
	return EverythingValue{
		U8: 200, S8: -100, U16: 60000, S16: -30000, U32: 4000000000, S32: -2000000000,
		U64: 10000000000000000000, S64: -9000000000000000000, U128: Uint128{1, 2}, Yes: true,
		Port: 443, Order: 16909060, Wide: 72623859790382856, Single: 1.5, Twice: -2.25,
		Action: EverythingValueActionActionDeny, Flags: EverythingValueFlagsRedLight | EverythingValueFlagsBlue,
		Name: "abc", Raw: [3]byte{1, 0, 255},
		Ipv4: netip.MustParseAddr("192.0.2.1"), Ipv6: netip.MustParseAddr("2001::1"),
		Ip: netip.MustParseAddr("10.0.0.9"), Mac: Mac{2, 0, 0, 0, 0, 0xab},
		Low: 5, Middle: -60, High: 4000000,
		Points: [2]EverythingValuePoints{{1, -1}, {300, -300}}, Ports: [3]uint16{1, 256, 65535},
		Tight: EverythingValueTight{7, 100000}, Either: either, Inside: 11, Type: 12, Took: 1500000,
		Class: 1, Self: 2, AB: 3, AB_: 4,
	}
}

func compared(value EverythingValue) string {
	if value == literal() {
		return "same"
	}
	return fmt.Sprintf("%+v", value)
}

func main() {
	everything := one(OpenEverything())
	for _, place := range everything.Places {
		fmt.Printf("for %s at %s\n", place.Member, place.Hook)
	}
	given, is, err := everything.Lookup(1)
	for must(err); !is; must(err) {
		time.Sleep(50 * time.Millisecond)
		given, is, err = everything.Lookup(1)
	}
	fmt.Println("value:", compared(given))
	must(everything.Update(2, literal()))

	reader := one(one(OpenEvents()).Reader())
	told, text := 0, ""
	for told == 0 {
		one(reader.Wait(200 * time.Millisecond))
		told = one(reader.Read(func(event EventsEvent) {
			var value EverythingValue
			must(value.UnmarshalBinary(one(event.MarshalBinary())))
			text = compared(value)
		}))
	}
	fmt.Println("event:", text)
	bytes := 0
	one(one(one(OpenPlain()).Reader()).Read(func(event []byte) { bytes = len(event) }))
	fmt.Println("plain:", bytes, "bytes")

	limits := one(OpenLimits())
	limit := NewLimitsValue()
	limit.Rate = 5
	must(limits.Update(443, limit))
	must(limits.Update(80, LimitsValue{6, 7}))
	fmt.Println("deleted:", one(limits.Delete(80)), one(limits.Delete(81)))
	fmt.Println("keys:", one(limits.Keys()))
	var refused *OutOfBounds
	if errors.As(limits.Update(443, LimitsValue{1000001, 0}), &refused) {
		fmt.Println("refused:", refused)
	}
	fmt.Println("again:", limits.UpdateWith(443, LimitsValue{9, 9}, New) == syscall.EEXIST)

	must(one(OpenPrefixes()).Update(Prefix{8, netip.MustParseAddr("10.0.0.0")}, PrefixesValueActionDeny))

	counts := one(OpenCounts())
	values := there(counts.Lookup(0))
	packets := uint64(0)
	numbered := []CountsValue{}
	for index, value := range values {
		packets += value.Packets
		numbered = append(numbered, CountsValue{uint64(index) + 1, 8})
	}
	fmt.Println("counts:", packets > 0, "of", len(values) == one(Processors()), "processors")
	must(counts.Update(1, numbered))

	waiting := one(OpenWaiting())
	must(waiting.Push(7))
	must(waiting.Push(8))
	fmt.Println("queue:", there(waiting.Pop()), there(waiting.Peek()))

	fmt.Println("seen:", one(one(OpenBss()).Read()).Seen > 0)
	data := one(OpenData())
	fmt.Println("told:", one(data.Read()).Told)
	must(data.Write(DataVariables{9}))
	fmt.Println("constant:", one(one(OpenRodata()).Read()).Constant)
	fmt.Println("configured:", there(one(OpenSettings()).Lookup(1)))
	fmt.Println("done")
	select {
	case <-make(chan bool):
	case <-time.After(time.Hour):
	}
}
