//go:build native

// Products by the matrix unit (AMX): tiles of 16 rows × 64 bytes, which a packed block fits
// as it lies. The file that includes this has vectors of 16 (avx512.h).
//
// The unit's order of a sum over bf16 is, for each 32 inputs,
//   t = t + (e + o),  e and o the chains of multiply-adds over even and odd inputs
// (Intel, Instruction Set Extensions Programming Reference, TDPBF16PS), starting at init.
// chunk_tile computes the same bits with vectors, for a few rows, where the unit would wait
// for memory. It takes and gives denormal numbers as they are, the unit as zeros.
//
// Integers have no order, so for quantised weights simd_quant.h's tiles serve few rows.

enum {
	AMX_ROWS = 8,    // rows from which the unit is the faster one
	AMX_BLOCKS = 8,  // blocks for which a stretch of activations is kept in the first cache
	AMX_INPUTS = 512 // inputs of such a stretch
};

// amx_fence makes memory what the program says: compilers up to GCC 12 don't know that the
// instructions of the unit read it, and may leave out or move what was stored before.
#define amx_fence() __asm__ volatile("" ::: "memory")

// amx_tiles says how many rows the tiles of activations and sums have: the first high, the second
// low. Tiles 0 to 3 are sums (row half, block), 4 and 5 activations, 6 and 7 weights.
IN void amx_tiles(int32_t high, int32_t low)
{
	struct {
		uint8_t palette, start, reserved[14];
		uint16_t bytes[16];
		uint8_t rows[16];
	} shape = {.palette = 1};
	for (int i = 0; i < 8; i++) {
		shape.bytes[i] = 64;
		shape.rows[i] = 16;
	}
	shape.rows[0] = shape.rows[1] = shape.rows[4] = (uint8_t)high;
	shape.rows[2] = shape.rows[3] = shape.rows[5] = (uint8_t)(low ? low : 1);
	__asm__ volatile("" : : "r"(&shape) : "memory");
	_tile_loadconfig(&shape);
}

// chunk_tile adds kn inputs (a multiple of 16) of mr rows × nb blocks to init.
IN void chunk_tile(const int mr, const int nb, const stretch *s)
{
	vf acc[AMX_ROWS][LINE_B];
#pragma GCC unroll 16
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
		for (int j = 0; j < nb; j++)
			acc[i][j] = s->init ? v_load(s->init + i * s->ldi + j * VL) : v_set(0);
	for (int32_t k0 = 0; k0 < s->kn; k0 += 32) {
		const int32_t k1 = s->kn - k0 < 32 ? s->kn : k0 + 32;
		vf e[AMX_ROWS][LINE_B], o[AMX_ROWS][LINE_B];
#pragma GCC unroll 16
		for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
			for (int j = 0; j < nb; j++)
				e[i][j] = o[i][j] = v_set(0);
		for (int32_t k = k0; k < k1; k += 2)
#pragma GCC unroll 8
			for (int j = 0; j < nb; j++) {
				const vf even = v_even(s->w + j * s->ws + (size_t)k * 32), odd = v_odd(s->w + j * s->ws + (size_t)k * 32);
#pragma GCC unroll 16
				for (int i = 0; i < mr; i++) {
					const uint16_t *a = (const uint16_t *)(s->a + i * s->lda) + k;
					e[i][j] = v_fma(even, v_set(pl_bf16_up(a[0])), e[i][j]);
					o[i][j] = v_fma(odd, v_set(pl_bf16_up(a[1])), o[i][j]);
				}
			}
#pragma GCC unroll 16
		for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
			for (int j = 0; j < nb; j++)
				acc[i][j] = acc[i][j] + (e[i][j] + o[i][j]);
	}
#pragma GCC unroll 16
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
		for (int j = 0; j < nb; j++)
			v_store(s->c + i * s->ldc + j * VL, acc[i][j]);
}

#define CHUNKS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define DEFINE_CHUNK(mr) FN __attribute__((noinline)) void tile_MUL_CHUNK_1_##mr(const stretch *s) { chunk_tile(mr, 1, s); }
#define NAMED_CHUNK(mr) tile_MUL_CHUNK_1_##mr,
CHUNKS(DEFINE_CHUNK)
static void (*const chunk_tiles[AMX_ROWS - 1])(const stretch *) = {CHUNKS(NAMED_CHUNK)};

// chunk_rows runs chunk_tile over all inputs from k on of any number of rows and blocks.
FN void chunk_rows(const pl_gemm *g, int32_t b0, int32_t b1, int32_t k)
{
	const size_t ws = (size_t)g->w->k * PL_LANES * sizeof(uint16_t);
	for (int32_t b = b0; b < b1;) {
		const int32_t nb = g->m == 1 && b1 - b >= LINE_B ? LINE_B : 1;
		const size_t column = (size_t)(b - b0) * PL_LANES;
		stretch s = {
			.w = (const char *)g->w->data + b * ws + (size_t)k * 32, .ws = ws,
			.a = (const char *)((const uint16_t *)g->a + k), .lda = g->lda * sizeof(uint16_t),
			.c = g->c + column, .ldc = g->ldc,
			.init = k ? g->c + column : g->init ? g->init + column : NULL, .ldi = k ? g->ldc : g->ldi,
			.kn = g->k - k,
		};
		for (int32_t m = g->m; m > 0;) {
			const int32_t high = m < AMX_ROWS ? m : AMX_ROWS - 1;
			if (nb == LINE_B)
				chunk_tile(1, LINE_B, &s);
			else
				chunk_tiles[high - 1](&s);
			s.a += high * s.lda;
			s.c += high * s.ldc;
			s.init = s.init ? s.init + high * s.ldi : NULL;
			m -= high;
		}
		b += nb;
	}
}

// amx_bf16 adds `steps` times 32 inputs: of 16 rows or, where two, up to 32, by one block or, where wide, two.
IN void amx_bf16(const int two, const int wide, const stretch *s, int32_t steps)
{
	const size_t ldc = s->ldc * sizeof(float), ldi = s->ldi * sizeof(float);
	amx_fence();
	if (s->init) {
		_tile_loadd(0, s->init, ldi);
		if (wide)
			_tile_loadd(1, s->init + 16, ldi);
		if (two) {
			_tile_loadd(2, s->init + 16 * s->ldi, ldi);
			if (wide)
				_tile_loadd(3, s->init + 16 * s->ldi + 16, ldi);
		}
	} else {
		_tile_zero(0);
		_tile_zero(1);
		_tile_zero(2);
		_tile_zero(3);
	}
	const char *w = s->w, *a = s->a;
	for (int32_t i = 0; i < steps; i++) {
		_tile_loadd(6, w, 64);
		_tile_loadd(4, a, s->lda);
		_tile_dpbf16ps(0, 4, 6);
		if (wide) {
			_tile_loadd(7, w + s->ws, 64);
			_tile_dpbf16ps(1, 4, 7);
		}
		if (two) {
			_tile_loadd(5, a + 16 * s->lda, s->lda);
			_tile_dpbf16ps(2, 5, 6);
			if (wide)
				_tile_dpbf16ps(3, 5, 7);
		}
		w += 1024;
		a += 64;
	}
	_tile_stored(0, s->c, ldc);
	if (wide)
		_tile_stored(1, s->c + 16, ldc);
	if (two) {
		_tile_stored(2, s->c + 16 * s->ldc, ldc);
		if (wide)
			_tile_stored(3, s->c + 16 * s->ldc + 16, ldc);
	}
}

FN void gemm_dot(const pl_gemm *g, int32_t b0, int32_t b1)
{
	if (g->m < AMX_ROWS) {
		chunk_rows(g, b0, b1, 0);
		return;
	}
	const size_t ws = (size_t)g->w->k * PL_LANES * sizeof(uint16_t);
	const int32_t whole = g->k / 32 * 32;
	int32_t set = 0; // rows that the tiles are made for
	for (int32_t bg = b0; bg < b1; bg += AMX_BLOCKS)
		for (int32_t k = 0; k < whole; k += AMX_INPUTS)
			for (int32_t m = 0; m < g->m; m += 32) {
				const int32_t rows = g->m - m < 32 ? g->m - m : 32;
				if (rows != set)
					amx_tiles(rows < 16 ? rows : 16, rows - 16 > 0 ? rows - 16 : 0);
				set = rows;
				for (int32_t b = bg; b < b1 && b < bg + AMX_BLOCKS; b += 2) {
					const size_t column = (size_t)(b - b0) * PL_LANES;
					float *c = g->c + m * g->ldc + column;
					const stretch s = {
						.w = (const char *)g->w->data + b * ws + (size_t)k * 32, .ws = ws,
						.a = (const char *)((const uint16_t *)g->a + m * g->lda + k), .lda = g->lda * sizeof(uint16_t),
						.c = c, .ldc = g->ldc,
						.init = k ? c : g->init ? g->init + m * g->ldi + column : NULL, .ldi = k ? g->ldc : g->ldi,
					};
					const int32_t steps = (whole - k < AMX_INPUTS ? whole - k : AMX_INPUTS) / 32;
					if (b + 1 < b1 && rows > 16)
						amx_bf16(1, 1, &s, steps);
					else if (b + 1 < b1)
						amx_bf16(0, 1, &s, steps);
					else if (rows > 16)
						amx_bf16(1, 0, &s, steps);
					else
						amx_bf16(0, 0, &s, steps);
				}
			}
	_tile_release();
	if (whole < g->k)
		chunk_rows(g, b0, b1, whole);
}

// unpack4 spreads the nibbles of n inputs (a multiple of 128) of one block to bytes, as w8 has them.
IN void unpack4(uint8_t *to, const uint8_t *from, int32_t n)
{
	for (int32_t k = 0; k < n; k += 8, from += 64, to += 128) {
		_mm512_store_si512(to, v_low(from));
		_mm512_store_si512(to + 64, v_high(from));
	}
}

// amx_group computes the integer sums of one group, and adds them to c.
IN void amx_group(const int two, const int wide, const int bias, const char *w0, const char *w1, const int8_t *a, size_t lda,
                  const qstretch *s, int32_t rows, const vf *scale)
{
	_Alignas(64) int32_t sums[4][16][16];
	amx_fence();
	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
#pragma GCC unroll 2
	for (int i = 0; i < 2; i++) {
		_tile_loadd(6, w0 + 1024 * i, 64);
		_tile_loadd(4, a + 64 * i, lda);
		_tile_dpbsud(0, 4, 6);
		if (wide) {
			_tile_loadd(7, w1 + 1024 * i, 64);
			_tile_dpbsud(1, 4, 7);
		}
		if (two) {
			_tile_loadd(5, a + 16 * lda + 64 * i, lda);
			_tile_dpbsud(2, 5, 6);
			if (wide)
				_tile_dpbsud(3, 5, 7);
		}
	}
	_tile_stored(0, sums[0], 64);
	if (wide)
		_tile_stored(1, sums[1], 64);
	if (two) {
		_tile_stored(2, sums[2], 64);
		if (wide)
			_tile_stored(3, sums[3], 64);
	}
	for (int32_t r = 0; r < rows; r++) {
		const vi zero = vi_set(-bias * s->az[r * s->lds]);
		const vf step = v_at(s->as + r * s->lds);
		const int32_t(*from)[16] = sums[r / 16 * 2] + r % 16;
		float *c = s->c + r * s->ldc;
		const float *init = s->init + r * s->ldi;
#pragma GCC unroll 2
		for (int j = 0; j < 1 + wide; j++) {
			const vi n = vi_add(_mm512_load_si512(from + 16 * j), zero);
			v_store(c + j * VL, v_fma(v_whole(n), step * scale[j], v_load(init + j * VL)));
		}
	}
}

// amx_quant is a product of at least AMX_ROWS rows, whose groups are all whole.
IN void amx_quant(const int mul, const pl_gemm *g, int32_t b0, int32_t b1)
{
	static const float zeros[2 * PL_LANES];
	_Alignas(64) uint8_t bytes[AMX_BLOCKS][AMX_INPUTS * PL_LANES]; // of w4
	const int32_t groups = g->w->k / PL_GROUP;
	const size_t ws = (size_t)g->w->k * (mul == MUL_W8 ? PL_LANES : PL_LANES / 2);
	int32_t set = 0; // rows that the tiles are made for
	for (int32_t bg = b0; bg < b1; bg += AMX_BLOCKS)
		for (int32_t k = 0; k < g->k; k += AMX_INPUTS) {
			const int32_t kn = g->k - k < AMX_INPUTS ? g->k - k : AMX_INPUTS;
			const int32_t be = b1 - bg < AMX_BLOCKS ? b1 : bg + AMX_BLOCKS;
			for (int32_t b = bg; mul == MUL_W4 && b < be; b++)
				unpack4(bytes[b - bg], (const uint8_t *)g->w->data + b * ws + (size_t)k * PL_LANES / 2, kn);
			for (int32_t m = 0; m < g->m; m += 32) {
				const int32_t rows = g->m - m < 32 ? g->m - m : 32;
				if (rows != set)
					amx_tiles(rows < 16 ? rows : 16, rows - 16 > 0 ? rows - 16 : 0);
				set = rows;
				for (int32_t b = bg; b < be; b += 2) {
					const int wide = b + 1 < be;
					const size_t column = (size_t)(b - b0) * PL_LANES;
					const char *w0 = mul == MUL_W4 ? (const char *)bytes[b - bg] : (const char *)g->w->data + b * ws + (size_t)k * PL_LANES;
					const char *w1 = mul == MUL_W4 ? (const char *)bytes[b - bg + wide] : w0 + ws;
					float *c = g->c + m * g->ldc + column;
					for (int32_t i = 0; i < kn; i += PL_GROUP) {
						const int32_t group = (k + i) / PL_GROUP;
						const int first = group == 0;
						const qstretch s = {
							.as = g->as + m * g->lds + group, .az = g->az + m * g->lds + group, .lds = g->lds,
							.c = c, .ldc = g->ldc,
							.init = !first ? c : g->init ? g->init + m * g->ldi + column : zeros,
							.ldi = !first ? g->ldc : g->init ? g->ldi : 0,
						};
						vf scale[2];
						for (int j = 0; j < 1 + wide; j++)
							scale[j] = mul == MUL_W8 ? v_load((const float *)g->w->scales + (b + j) * PL_LANES)
							                         : v_half((const uint16_t *)g->w->scales + ((size_t)(b + j) * groups + group) * PL_LANES);
						const int8_t *a = (const int8_t *)g->a + m * g->lda + k + i;
						const size_t at = (size_t)i * PL_LANES;
						const int bias = mul == MUL_W8 ? W8_BIAS : W4_BIAS;
						if (wide && rows > 16)
							amx_group(1, 1, bias, w0 + at, w1 + at, a, g->lda, &s, rows, scale);
						else if (wide)
							amx_group(0, 1, bias, w0 + at, w1 + at, a, g->lda, &s, rows, scale);
						else if (rows > 16)
							amx_group(1, 0, bias, w0 + at, w1 + at, a, g->lda, &s, rows, scale);
						else
							amx_group(0, 0, bias, w0 + at, w1 + at, a, g->lda, &s, rows, scale);
					}
				}
			}
		}
	_tile_release();
}

FN void amx_w8(const pl_gemm *g, int32_t b0, int32_t b1) { amx_quant(MUL_W8, g, b0, b1); }
FN void amx_w4(const pl_gemm *g, int32_t b0, int32_t b1) { amx_quant(MUL_W4, g, b0, b1); }

FN void gemm_amx(const pl_gemm *g, int32_t b0, int32_t b1)
{
	if (g->m < AMX_ROWS || g->w->k % PL_GROUP || g->k != g->w->k)
		gemm_q(g, b0, b1);
	else if (g->w->type == PL_W8)
		amx_w8(g, b0, b1);
	else
		amx_w4(g, b0, b1);
}
