package rewrite

func vector(from, to byte, types string) row {
	return row{from: from, to: to, types: types, imm: immNone, weight: weightVector}
}

func vectorMemory(from, to byte, types string, align uint32) row {
	return row{from: from, to: to, types: types, imm: immMemory, align: align, weight: weightVector}
}

func lane(from, to byte, types string, lanes byte) row {
	return row{from: from, to: to, types: types, imm: immLane, lanes: lanes, weight: weightVector}
}

func memoryLane(op byte, types string, align uint32, lanes byte) row {
	return row{from: op, to: op, types: types, imm: immMemLane, align: align, lanes: lanes, weight: weightVector}
}

// vectorOps are those behind 0xfd. Compilers write them when told to (-msimd128).
var vectorOps = table([]row{
	vectorMemory(0x00, 0x00, "i:v", 4), vectorMemory(0x01, 0x06, "i:v", 3), // loads
	vectorMemory(0x07, 0x07, "i:v", 0), vectorMemory(0x08, 0x08, "i:v", 1), vectorMemory(0x09, 0x09, "i:v", 2), vectorMemory(0x0a, 0x0a, "i:v", 3),
	vectorMemory(0x0b, 0x0b, "iv:", 4),
	{from: vectorConst, to: vectorConst, types: ":v", imm: immBytes, weight: weightVector},
	{from: 0x0d, to: 0x0d, types: "vv:v", imm: immShuffle, lanes: 32, weight: weightVector},
	vector(0x0e, 0x0e, "vv:v"), vector(0x0f, 0x11, "i:v"), vector(0x12, 0x12, "I:v"), vector(0x13, 0x13, "f:v"), vector(0x14, 0x14, "F:v"),
	lane(0x15, 0x16, "v:i", 16), lane(0x17, 0x17, "vi:v", 16), lane(0x18, 0x19, "v:i", 8), lane(0x1a, 0x1a, "vi:v", 8),
	lane(0x1b, 0x1b, "v:i", 4), lane(0x1c, 0x1c, "vi:v", 4), lane(0x1d, 0x1d, "v:I", 2), lane(0x1e, 0x1e, "vI:v", 2),
	lane(0x1f, 0x1f, "v:f", 4), lane(0x20, 0x20, "vf:v", 4), lane(0x21, 0x21, "v:F", 2), lane(0x22, 0x22, "vF:v", 2),
	vector(0x23, 0x4c, "vv:v"), vector(0x4d, 0x4d, "v:v"), vector(0x4e, 0x51, "vv:v"), vector(0x52, 0x52, "vvv:v"), vector(0x53, 0x53, "v:i"),
	memoryLane(0x54, "iv:v", 0, 16), memoryLane(0x55, "iv:v", 1, 8), memoryLane(0x56, "iv:v", 2, 4), memoryLane(0x57, "iv:v", 3, 2),
	memoryLane(0x58, "iv:", 0, 16), memoryLane(0x59, "iv:", 1, 8), memoryLane(0x5a, "iv:", 2, 4), memoryLane(0x5b, "iv:", 3, 2),
	vectorMemory(0x5c, 0x5c, "i:v", 2), vectorMemory(0x5d, 0x5d, "i:v", 3), vector(0x5e, 0x5f, "v:v"),
	vector(0x60, 0x62, "v:v"), vector(0x63, 0x64, "v:i"), vector(0x65, 0x66, "vv:v"), vector(0x67, 0x6a, "v:v"), // 8-bit lanes, and rounding
	vector(0x6b, 0x6d, "vi:v"), vector(0x6e, 0x73, "vv:v"), vector(0x74, 0x75, "v:v"), vector(0x76, 0x79, "vv:v"),
	vector(0x7a, 0x7a, "v:v"), vector(0x7b, 0x7b, "vv:v"), vector(0x7c, 0x7f, "v:v"),
	vector(0x80, 0x81, "v:v"), vector(0x82, 0x82, "vv:v"), vector(0x83, 0x84, "v:i"), vector(0x85, 0x86, "vv:v"), vector(0x87, 0x8a, "v:v"), // 16-bit lanes
	vector(0x8b, 0x8d, "vi:v"), vector(0x8e, 0x93, "vv:v"), vector(0x94, 0x94, "v:v"), vector(0x95, 0x99, "vv:v"), vector(0x9b, 0x9f, "vv:v"),
	vector(0xa0, 0xa1, "v:v"), vector(0xa3, 0xa4, "v:i"), vector(0xa7, 0xaa, "v:v"), vector(0xab, 0xad, "vi:v"), vector(0xae, 0xae, "vv:v"), // 32-bit lanes
	vector(0xb1, 0xb1, "vv:v"), vector(0xb5, 0xba, "vv:v"), vector(0xbc, 0xbf, "vv:v"),
	vector(0xc0, 0xc1, "v:v"), vector(0xc3, 0xc4, "v:i"), vector(0xc7, 0xca, "v:v"), vector(0xcb, 0xcd, "vi:v"), vector(0xce, 0xce, "vv:v"), // 64-bit lanes
	vector(0xd1, 0xd1, "vv:v"), vector(0xd5, 0xdf, "vv:v"),
	vector(0xe0, 0xe1, "v:v"), vector(0xe3, 0xe3, "v:v"), vector(0xe4, 0xeb, "vv:v"), // floats
	vector(0xec, 0xed, "v:v"), vector(0xef, 0xef, "v:v"), vector(0xf0, 0xf7, "vv:v"),
	vector(0xf8, 0xff, "v:v"), // conversions
})
